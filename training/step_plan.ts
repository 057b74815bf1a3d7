/**
 * How many steps a run has.
 *
 * @module
 */

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
