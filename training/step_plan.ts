/**
 * The steps of a run: how many there are, and what goes into each.
 *
 * @module
 */
import { batchOf, chunks, cutBatch, type PlannedBatch, plannedBatches } from "../data/batches.ts";

/** The steps of a run. */
export interface StepPlan {
  stepsPerEpoch: number;
  totalSteps: number;
  /** Over so many the learning rate rises. */
  warmupSteps: number;
}

/** What the steps depend on beside the number of examples. */
export interface StepPlanSettings {
  epochs: number;
  batchSize: number;
  /** Batches of one step. */
  gradientAccumulationSteps: number;
  maxSteps?: number | undefined;
  /** Share of the steps over which the learning rate rises. */
  warmupRatio: number;
}

/** The steps of a run over so many examples. */
export function stepPlan(
  examples: number,
  { epochs, batchSize, gradientAccumulationSteps, maxSteps, warmupRatio }: StepPlanSettings,
): StepPlan {
  const stepsPerEpoch = Math.ceil(Math.ceil(examples / batchSize) / gradientAccumulationSteps);
  const totalSteps = Math.min(epochs * stepsPerEpoch, maxSteps ?? Infinity);
  return { stepsPerEpoch, totalSteps, warmupSteps: Math.ceil(warmupRatio * totalSteps) };
}

/** What goes into the steps of an epoch. */
export interface EpochSettings {
  batchSize: number;
  gradientAccumulationSteps: number;
  seed: number;
  shuffle: boolean;
  /** How many texts of at most so many tokens a part may have; all of a batch by default. */
  textsOf?: (length: number) => number;
}

/**
 * The steps of an epoch that are still to be done, each with its batches.
 *
 * @param examples How many there are.
 * @param epoch Counted from 0.
 * @param stepsDone Those of the whole run.
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
 * @param lengths The tokens of each example; those of the step's chunks are known.
 */
export function partsOf(
  step: readonly PlannedBatch[],
  lengths: ArrayLike<number>,
  { batchSize, textsOf = () => batchSize }: EpochSettings,
): number[][] {
  return step.flatMap((batch) => cutBatch(batchOf(batch, lengths, batchSize), lengths, textsOf));
}
