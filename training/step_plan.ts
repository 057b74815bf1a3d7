/**
 * The steps of a run: their number, and the batches of each.
 *
 * @module
 */
import { batchOf, chunks, cutBatch, type PlannedBatch, plannedBatches } from "../data/batches.ts";

/** The steps of a run. */
export interface StepPlan {
  stepsPerEpoch: number;
  totalSteps: number;
  /** The number of steps over which the learning rate rises. */
  warmupSteps: number;
}

/** The settings that the steps depend on, beside the number of examples. */
export interface StepPlanSettings {
  epochs: number;
  batchSize: number;
  /** Batches of one step. */
  gradientAccumulationSteps: number;
  maxSteps?: number | undefined;
  /** Share of the steps over which the learning rate rises. */
  warmupRatio: number;
}

/** Plans the steps of a run. */
export function stepPlan(
  examples: number,
  { epochs, batchSize, gradientAccumulationSteps, maxSteps, warmupRatio }: StepPlanSettings,
): StepPlan {
  const stepsPerEpoch = Math.ceil(Math.ceil(examples / batchSize) / gradientAccumulationSteps);
  const totalSteps = Math.min(epochs * stepsPerEpoch, maxSteps ?? Infinity);
  return { stepsPerEpoch, totalSteps, warmupSteps: Math.ceil(warmupRatio * totalSteps) };
}

/** The settings of the steps of an epoch. */
export interface EpochSettings {
  batchSize: number;
  gradientAccumulationSteps: number;
  seed: number;
  shuffle: boolean;
  /** The most texts of a part, by the tokens of its longest; by default all texts of a batch. */
  textsOf?: (length: number) => number;
}

/**
 * The steps of an epoch that are still to be done, each with its batches.
 *
 * @param examples The number of examples.
 * @param epoch Counted from 0.
 * @param stepsDone The steps that are done, of the whole run.
 */
export function stepsLeft(
  examples: number,
  { batchSize, gradientAccumulationSteps, seed, shuffle }: EpochSettings,
  { stepsPerEpoch, totalSteps }: StepPlan,
  epoch: number,
  stepsDone: number,
): PlannedBatch[][] {
  const batches = plannedBatches(examples, { batchSize, seed, epoch, shuffle });
  const firstStep = epoch * stepsPerEpoch;
  return chunks(batches, gradientAccumulationSteps)
    .slice(stepsDone - firstStep, totalSteps - firstStep);
}

/**
 * The parts of a step, as indices into `lengths`.
 *
 * @param lengths The number of tokens of each example; those of the step's chunks are known.
 */
export function partsOf(
  step: readonly PlannedBatch[],
  lengths: ArrayLike<number>,
  { batchSize, textsOf = () => batchSize }: EpochSettings,
): number[][] {
  return step.flatMap((batch) => cutBatch(batchOf(batch, lengths, batchSize), lengths, textsOf));
}
