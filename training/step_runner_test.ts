import { deepStrictEqual, rejects } from "node:assert";
import type { StepResult } from "../onnx/runtime/executor.ts";
import type { StepEvent } from "./events.ts";
import { StepRunner } from "./step_runner.ts";

/** A device that gives the results of several steps at a time; a step's loss is its number. */
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
    learningRate: 8,
    warmupSteps: 0,
    totalSteps: 8,
    stepsPerEpoch: 4,
    lastCheckpoint: () => Promise.resolve(undefined),
    onEvent: (event) => events.push(event),
  });
  return { runner, state, events };
}

const STEPS = [1, 2, 3, 4, 5];
const prepare = () => ({ parts: [], tokens: 7 });

Deno.test("StepRunner tells of each step once, in order, when its result is known", async () => {
  for (const stepsPerAnswer of [1, 3, 10]) {
    const { runner, state, events } = start(lateSession(stepsPerAnswer));
    await runner.run(STEPS, {
      prepare,
      // deno-lint-ignore require-await
      after: async (step) => deepStrictEqual(state.step, step - step % stepsPerAnswer),
    });
    deepStrictEqual(
      events.map(({ step, epoch, loss, learning_rate }) => [step, epoch, loss, learning_rate]),
      STEPS.map((step) => [step, step / 4, step, 9 - step]),
    );
    deepStrictEqual(state.step, 5);
  }
});

Deno.test("StepRunner knows all results where it is asked to settle", async () => {
  const { runner, state } = start(lateSession(10));
  const after = async (step: number) => {
    await runner.settle();
    deepStrictEqual(state.step, step);
  };
  await runner.run(STEPS, { prepare, after });
});

Deno.test("StepRunner tells the same pace of all steps whose results come together", async () => {
  const { runner, events } = start(lateSession(3));
  await runner.run(STEPS, { prepare, after: async () => {} });
  const pace = events.map((
    { tokens_per_second, seconds_left },
  ) => [tokens_per_second, seconds_left]);
  deepStrictEqual(pace, [pace[0], pace[0], pace[0], pace[3], pace[3]]);
  // Whatever the time, their product is the tokens of a step times the steps that are left.
  const tokensLeft = [pace[0], pace[3]].map((both) => Math.round(both![0]! * both![1]!));
  deepStrictEqual(tokensLeft, [7 * (8 - 3), 7 * (8 - 5)]);
});

Deno.test("StepRunner prepares a step while the device does the one before", async () => {
  const done: string[] = [];
  const session = lateSession(1);
  const { runner } = start({
    ...session,
    submit: async (parts, step, learningRate) => {
      done.push(`start ${step}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
      done.push(`end ${step}`);
      return await session.submit(parts, step, learningRate);
    },
  });
  await runner.run([1, 2], {
    prepare: (step) => {
      done.push(`prepare ${step}`);
      return prepare();
    },
    after: async () => {},
  });
  deepStrictEqual(done, ["prepare 1", "start 1", "prepare 2", "end 1", "start 2", "end 2"]);
});

Deno.test("StepRunner stops before the next step when it is told to", async () => {
  const { runner, state } = start(lateSession(10));
  const stopping = new AbortController();
  const run = runner.run(STEPS, {
    prepare,
    // deno-lint-ignore require-await
    after: async (step) => {
      if (step === 3) stopping.abort();
    },
    signal: stopping.signal,
  });
  await rejects(run, { name: "AbortError" });
  await runner.settle();
  deepStrictEqual(state.step, 3);
});

Deno.test("StepRunner names the first step whose loss is no number", async () => {
  const session = lateSession(10, (step) => step < 3 ? step : NaN);
  const { runner, state } = start(session);
  await rejects(runner.run(STEPS, { prepare, after: async () => {} }), {
    name: "UserError",
    message: "Cannot go on after step 3: the loss is NaN, its gradient's norm 0.5; " +
      "try a lower learning rate than 8",
  });
  deepStrictEqual(state.step, 2);
});
