import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { RunHistories } from "./run_history.ts";
import { KvRunStore } from "./kv_run_store.ts";
import { newRun, type RunEvent, type RunStore } from "./run_store.ts";

function step(step: number, loss: number): RunEvent {
  return {
    type: "step",
    step,
    epoch: step / 10,
    loss,
    grad_norm: 1,
    learning_rate: 1e-3,
    tokens_per_second: 100,
    seconds_left: 1,
  };
}

async function withRun(test: (store: RunStore, histories: RunHistories) => Promise<void>) {
  using store = await KvRunStore.open(":memory:");
  const fields = { settings: {}, base: "bundled", dataset: "sample" };
  await store.create(newRun({ id: "run", name: "run", ...fields }));
  await test(store, new RunHistories(store));
}

Deno.test("RunHistories.of() gives steps as columns, and goes on where it was", async () => {
  await withRun(async (store, histories) => {
    for (let i = 1; i <= 5; i++) await store.append("run", step(i, 1 / i));
    deepStrictEqual((await histories.of("run", 100)).steps.step, [1, 2, 3, 4, 5]);
    await store.append("run", step(6, 9));
    const { steps, log, last_event_id } = await histories.of("run", 100);
    deepStrictEqual(steps.loss, [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 9]);
    deepStrictEqual(log.map(({ id, event }) => [id, event.type]), [[1, "state"]]);
    strictEqual(last_event_id, 7);
  });
});

Deno.test("RunHistories.of() has each step once where an attempt went back to a checkpoint", async () => {
  await withRun(async (store, histories) => {
    for (const i of [1, 2, 3, 4, 3, 4, 5]) await store.append("run", step(i, i));
    deepStrictEqual((await histories.of("run", 100)).steps.step, [1, 2, 3, 4, 5]);
  });
});

Deno.test("RunHistories.of() keeps the peaks of a long run", async () => {
  await withRun(async (store, histories) => {
    for (let i = 1; i <= 300; i++) await store.append("run", step(i, i === 123 ? 50 : 1));
    const { steps } = await histories.of("run", 40);
    ok(steps.step.length <= 40);
    strictEqual(steps.loss[steps.step.indexOf(123)], 50);
  });
});
