/**
 * A model in training: its graphs and their parameters, inside the executor's Worker, behind
 * `executor.ts`.
 *
 * @module
 */
import type { AdamWOptions, ParameterShape } from "./optimizer/adamw.ts";
import { type DropoutSite, DropoutWindows } from "../graph/dropout.ts";
import type { GradientOutput } from "../graph/gradient.ts";
import { HostParameters } from "./optimizer/host_parameters.ts";
import {
  LOSS,
  type ParameterKind,
  type Parameters,
  type ParameterValues,
  type StepResult,
} from "./optimizer/parameters.ts";
import type { Runtime } from "./runtime.ts";
import { hostTensors, Session, type Tensors } from "./session.ts";
import { WebGpuMasks } from "./webgpu_dropout.ts";
import { WebGpuParameters } from "./optimizer/webgpu_parameters.ts";

/**
 * A model in training: two graphs over the same parameters, which are inputs of both. Parameters
 * without a gradient are frozen.
 */
export interface TrainingGraphs {
  /** Outputs {@link LOSS}, a scalar, and the gradients. */
  training: Uint8Array;
  /** Outputs the results for evaluation. */
  inference: Uint8Array;
  parameters: ParameterShape[];
  gradients: GradientOutput[];
  dropout: DropoutSite[];
}

/** The settings of a training session that stay the same. */
export interface TrainingOptions {
  optimizer: AdamWOptions;
  dropoutSeed: number;
  /** The symbolic dimensions of the largest batches, such as `batch` and `length`. */
  largestDimensions: Record<string, number>[];
}

/** The result of one step of training, and how long it took. */
export interface TimedStepResult extends StepResult {
  /** The time of the graph and of moving the gradients to the optimizer. */
  forwardBackwardMs: number;
  /** The time of the optimizer. */
  optimizerMs: number;
}

/** A model in training, its parameters on the device next to the graphs that use them. */
export class TrainingSession {
  readonly #training: Session;
  readonly #inference: Session;
  readonly #parameters: Parameters;
  readonly #masks: DropoutWindows | WebGpuMasks;

  private constructor(
    training: Session,
    inference: Session,
    parameters: Parameters,
    masks: DropoutWindows | WebGpuMasks,
  ) {
    this.#training = training;
    this.#inference = inference;
    this.#parameters = parameters;
    this.#masks = masks;
  }

  /** Loads the graphs and takes over the initial weights, by parameter name. */
  static async load(
    runtime: Runtime,
    { training, inference, parameters: shapes, gradients, dropout: sites }: TrainingGraphs,
    weights: ParameterValues,
    { optimizer, dropoutSeed, largestDimensions }: TrainingOptions,
  ): Promise<TrainingSession> {
    const outputs = [LOSS, ...gradients.map(({ output }) => output)];
    const trainingSession = await Session.load(runtime, training, {
      outputsOnDevice: outputs,
    });
    const inferenceSession = await Session.load(runtime, inference);
    const Parameters = runtime.device === "webgpu" ? WebGpuParameters : HostParameters;
    const parameters = await Parameters.create(runtime, shapes, gradients, optimizer);
    for (const { name } of shapes) parameters.setValues("weights", name, weights[name]!);
    const windows = new DropoutWindows(dropoutSeed, sites, largestDimensions);
    const masks = runtime.device === "webgpu"
      ? await WebGpuMasks.create(runtime, windows, sites, largestDimensions)
      : windows;
    return new TrainingSession(trainingSession, inferenceSession, parameters, masks);
  }

  /**
   * Runs forward and backward on one batch, which may come in parts, and updates the weights. Does
   * not wait for a GPU, which would idle until the next step.
   *
   * @param parts Parts of the batch; their losses and gradients add up.
   * @param step Counted from 1; with the seed it determines the dropout masks.
   * @returns The results of this and earlier steps that are known by now, each once.
   */
  async submit(
    parts: readonly Tensors[],
    step: number,
    learningRate: number,
  ): Promise<StepResult[]> {
    await this.#runParts(parts, step);
    return await this.#parameters.update(step, learningRate);
  }

  /** Waits for the results that {@link submit} has not returned. */
  results(): Promise<StepResult[]> {
    return this.#parameters.results();
  }

  /** Submits a step and waits for its result; earlier results are dropped. */
  async step(
    parts: readonly Tensors[],
    step: number,
    learningRate: number,
  ): Promise<TimedStepResult> {
    const started = performance.now();
    await this.#runParts(parts, step);
    await this.#parameters.settle();
    const updating = performance.now();
    const known = await this.#parameters.update(step, learningRate);
    const result = [...known, ...await this.#parameters.results()].at(-1)!;
    return {
      ...result,
      forwardBackwardMs: updating - started,
      optimizerMs: performance.now() - updating,
    };
  }

  /** Runs the inference graph with the current weights. */
  async run(batch: Tensors): Promise<Tensors> {
    this.#parameters.prepare();
    const feeds = { ...this.#parameters.feeds, ...batch };
    return hostTensors(await this.#inference.runOnDevice(feeds));
  }

  /** A copy of one parameter's current weights or moments. */
  values(kind: ParameterKind, name: string): Promise<Float32Array> {
    return this.#parameters.values(kind, name);
  }

  /** Replaces one parameter's weights or moments. */
  setValues(kind: ParameterKind, name: string, values: Float32Array): void {
    this.#parameters.setValues(kind, name, values);
  }

  async #runParts(parts: readonly Tensors[], step: number): Promise<void> {
    for (const [part, batch] of parts.entries()) {
      const first = part === 0;
      this.#parameters.prepare(batch);
      const outputs = await this.#training.runOnDevice(
        {
          ...this.#parameters.feeds,
          ...this.#masks.feeds(step, this.#training.dimensions(batch), part),
          ...batch,
        },
        this.#parameters.outputTargets(first),
      );
      this.#parameters.addPart(outputs, first);
    }
  }

  /** Frees the device's memory. */
  async release(): Promise<void> {
    await this.#training.release();
    await this.#inference.release();
    this.#masks.release();
    this.#parameters.release();
  }
}
