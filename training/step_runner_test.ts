import { deepStrictEqual, rejects } from "node:assert";
import type { StepResult } from "../onnx/executor.ts";
import type { StepEvent } from "./events.ts";
import { Pace } from "./pace.ts";
import { StepRunner } from "./step_runner.ts";

/** A device that tells of so many steps at a time; a step's loss is its number. */
function lateSession(stepsPerAnswer: number, loss = (step: number) => step) {
  let unread: StepResult[] = [];
  const results = () => {
    const known = unread;
    unread = [];
    return Promise.resolve(known);
  };
  return {
    results,
    submit: (_parts: unknown, step: number, _learningRate: number) => {
      unread.push({ loss: loss(step), gradientNorm: 0.5 });
      return unread.length === stepsPerAnswer ? results() : Promise.resolve([]);
    },
  };
}

function start(session: ReturnType<typeof lateSession>) {
  const events: StepEvent[] = [];
  const state = {
    step: 0,
    addStep: ({ step }: StepEvent) => {
      state.step = step;
    },
  };
  const runner = new StepRunner({
    session,
    state,
    pace: new Pace(0, 8),
    learningRate: 8,
    warmupSteps: 0,
    totalSteps: 8,
    stepsPerEpoch: 4,
    outDir: "/none",
    onEvent: (event) => events.push(event),
  });
  return { runner, state, events };
}

Deno.test("StepRunner tells of each step once, in order, when its result is known", async () => {
  for (const stepsPerAnswer of [1, 3, 10]) {
    const { runner, state, events } = start(lateSession(stepsPerAnswer));
    for (let step = 1; step <= 5; step++) {
      await runner.submit([], 7);
      deepStrictEqual(runner.submitted, step);
      deepStrictEqual(state.step, step - step % stepsPerAnswer);
    }
    await runner.settle();
    deepStrictEqual(
      events.map(({ step, epoch, loss, learning_rate }) => [step, epoch, loss, learning_rate]),
      [1, 2, 3, 4, 5].map((step) => [step, step / 4, step, 9 - step]),
    );
    deepStrictEqual([state.step, runner.submitted], [5, 5]);
  }
});

Deno.test("StepRunner names the first step whose loss is no number", async () => {
  const session = lateSession(10, (step) => step < 3 ? step : NaN);
  const { runner, state } = start(session);
  for (let step = 1; step <= 5; step++) await runner.submit([], 7);
  await rejects(runner.settle(), {
    name: "UserError",
    message: "Cannot go on after step 3: the loss is NaN, its gradient's norm 0.5; " +
      "try a lower --learning-rate than 8",
  });
  deepStrictEqual(state.step, 2);
});
