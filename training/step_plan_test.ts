import { deepStrictEqual } from "node:assert";
import { partsOf, stepPlan, stepsLeft } from "./step_plan.ts";

const SETTINGS = { epochs: 4, batchSize: 16, gradientAccumulationSteps: 1, warmupRatio: 0.1 };

Deno.test("stepPlan() counts a step for each batch, the last one of an epoch included", () => {
  deepStrictEqual(stepPlan(33, SETTINGS), { stepsPerEpoch: 3, totalSteps: 12, warmupSteps: 2 });
});

Deno.test("stepPlan() counts batches together whose gradients add up", () => {
  const plan = stepPlan(33, { ...SETTINGS, gradientAccumulationSteps: 2 });
  deepStrictEqual(plan, { stepsPerEpoch: 2, totalSteps: 8, warmupSteps: 1 });
});

Deno.test("stepPlan() ends after maxSteps, and warms up over a share of these", () => {
  const plan = stepPlan(1600, { ...SETTINGS, maxSteps: 50 });
  deepStrictEqual(plan, { stepsPerEpoch: 100, totalSteps: 50, warmupSteps: 5 });
});

Deno.test("stepsLeft() goes on in an epoch where an earlier process has stopped", () => {
  const settings = { ...SETTINGS, gradientAccumulationSteps: 2, seed: 1, shuffle: true };
  const lengths = Array.from({ length: 100 }, (_, i) => i % 7);
  const plan = stepPlan(lengths.length, settings);
  const left = (stepsDone: number) =>
    stepsLeft(lengths.length, settings, plan, 1, stepsDone)
      .map((step) => partsOf(step, lengths, settings));
  const whole = left(4);
  deepStrictEqual(whole.map((parts) => parts.length), [2, 2, 2, 1]);
  deepStrictEqual(whole.flat(2).toSorted((a, b) => a - b), lengths.map((_, i) => i));
  deepStrictEqual(left(6), whole.slice(2));
  deepStrictEqual(left(8), []);
});

Deno.test("stepsLeft() ends with the run, within an epoch", () => {
  const settings = { ...SETTINGS, maxSteps: 5, seed: 1, shuffle: false };
  const plan = stepPlan(64, settings);
  deepStrictEqual(stepsLeft(64, settings, plan, 1, 4).length, 1);
});
