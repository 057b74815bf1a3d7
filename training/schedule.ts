/**
 * Learning rate schedules.
 *
 * @module
 */

/**
 * The factor of the learning rate: it rises linearly over the warm-up steps and falls linearly to
 * zero over the others, as in transformers' `get_linear_schedule_with_warmup`.
 *
 * @param step The optimizer steps done before this one, from 0.
 */
export function linearSchedule(step: number, warmupSteps: number, totalSteps: number): number {
  if (step < warmupSteps) return step / Math.max(1, warmupSteps);
  return Math.max(0, (totalSteps - step) / Math.max(1, totalSteps - warmupSteps));
}
