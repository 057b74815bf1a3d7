import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { after, EMPTY, type StreamedEvent } from "./run_so_far.ts";

function step(step: number, loss = 1): StreamedEvent {
  const rest = { epoch: step / 10, grad_norm: 1, learning_rate: 1e-3, tokens_per_second: 9 };
  return { type: "step", step, loss, ...rest };
}

function all(events: readonly StreamedEvent[]) {
  return events.reduce((run, event, i) => after(run, i + 1, event), EMPTY);
}

Deno.test("after() adds steps as columns, and other events to the log", () => {
  const run = all([{ type: "state", state: "running" }, step(1, 3), step(2, 2)]);
  deepStrictEqual([run.steps.step, run.steps.loss, run.last_event_id], [[1, 2], [3, 2], 3]);
  deepStrictEqual(run.log, [{ id: 1, event: { type: "state", state: "running" } }]);
});

Deno.test("after() leaves out what is known, and what an attempt does again", () => {
  const run = all([step(1), step(2), step(3)]);
  strictEqual(after(run, 3, step(4)), run);
  deepStrictEqual(after(run, 4, step(2, 7)).steps.loss, [1, 7]);
});

Deno.test("after() thins out a long run and keeps its peak", () => {
  const run = all(Array.from({ length: 9000 }, (_, i) => step(i + 1, i === 1234 ? 50 : 1)));
  ok(run.steps.step.length < 4000);
  strictEqual(run.steps.loss[run.steps.step.indexOf(1235)], 50);
  strictEqual(run.steps.step.at(-1), 9000);
});
