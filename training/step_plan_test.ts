import { deepStrictEqual } from "node:assert";
import { stepPlan } from "./step_plan.ts";

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
