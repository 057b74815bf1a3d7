/**
 * The parameters of a model in training, where the device has them: weights, gradients, and the
 * optimizer's moments.
 *
 * @module
 */
import type { DeviceTensors, Tensors } from "../session.ts";

/** Values by parameter name. */
export type ParameterValues = Record<string, Float32Array>;

/** The values that training changes: weights, and AdamW's moments of those that are not frozen. */
export type ParameterKind = "weights" | "firstMoments" | "secondMoments";

/** The output of a training graph that holds the loss, a scalar. */
export const LOSS = "loss";

/** The result of one step of training. */
export interface StepResult {
  loss: number;
  /** The norm of all gradients before clipping. */
  gradientNorm: number;
}

/** The parameters on any device. */
export interface Parameters {
  /** The weights as inputs of a graph, which {@link prepare} brings up to date. */
  readonly feeds: DeviceTensors;

  /**
   * Brings the weights that a graph is about to read up to date.
   *
   * @param batch The graph's other inputs, if it reads only the rows of tables that they name.
   */
  prepare(batch?: Tensors): void;

  /**
   * Where the training graph can write its outputs in place; others are allocated.
   *
   * @param first Whether nothing has been added up since the last {@link update}.
   */
  outputTargets(first: boolean): DeviceTensors;

  /**
   * Adds the loss and the gradients of a part of a step to those before, or starts over with its
   * first part. Frees the outputs that are on a GPU.
   */
  addPart(outputs: DeviceTensors, first: boolean): void;

  /** Waits until the device has done all its work. */
  settle(): Promise<void>;

  /**
   * Clips the gradients by their common norm, and updates weights and moments.
   *
   * @param step Counted from 1.
   * @returns The results of this and earlier steps that are known by now, each once.
   */
  update(step: number, learningRate: number): Promise<StepResult[]>;

  /** Waits for the results that {@link update} has not returned. */
  results(): Promise<StepResult[]>;

  /** A copy of one parameter's weights or moments. */
  values(kind: ParameterKind, name: string): Promise<Float32Array>;

  /**
   * Replaces one parameter's weights or moments.
   *
   * @throws {RangeError} If there is no such parameter, or it has another number of values.
   */
  setValues(kind: ParameterKind, name: string, values: Float32Array): void;

  /** Frees the device's memory. */
  release(): void;
}

/** The error of a parameter that does not exist, or is not of this kind because it is frozen. */
export function unknownParameter(kind: ParameterKind, name: string): RangeError {
  return new RangeError(`Cannot find ${kind} of '${name}'`);
}

/** Checks a number of values. */
export function checkCount(name: string, values: Float32Array, count: number): void {
  if (values.length === count) return;
  throw new RangeError(`Cannot set '${name}': it has ${count} values, got ${values.length}`);
}
