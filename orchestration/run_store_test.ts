import { deepStrictEqual, ok, rejects } from "node:assert";
import fc from "fast-check";
import {
  newRun,
  type NumberedEvent,
  type Run,
  type RunEvent,
  type RunState,
  RunStore,
} from "./run_store.ts";

function run(id: string, fields: Partial<Run> = {}): Run {
  return newRun({
    id,
    name: `model ${id}`,
    settings: { batch_size: 16 },
    base: "scratch:tiny",
    dataset: "sample",
    created_at: "2026-01-01T00:00:00Z",
    ...fields,
  });
}

function evaluation(step: number): RunEvent {
  const values = { epoch: 1, loss: 0.5, accuracy: 0.5, f1_macro: 0.5, best: true };
  return {
    type: "evaluation",
    problem_type: "single_label_classification",
    step,
    ...values,
  };
}

function state(state: RunState): RunEvent {
  return { type: "state", state };
}

/** All events of a stream, to its end. */
function readAll(
  store: RunStore,
  id: string,
  after = 0,
  signal = new AbortController().signal,
): Promise<NumberedEvent[]> {
  return Array.fromAsync(store.events(id, after, signal));
}

Deno.test("RunStore keeps a run with its changes", async () => {
  using store = await RunStore.open(":memory:");
  await store.create(run("1"));
  await store.setState("1", "running", { started_at: "2026-01-01T00:01:00Z" });
  await store.append("1", evaluation(7));
  await store.setState("1", "failed", { error: "out of luck" });
  deepStrictEqual(await store.get("1"), {
    ...run("1"),
    state: "failed",
    started_at: "2026-01-01T00:01:00Z",
    error: "out of luck",
    event_count: 4,
  });
  deepStrictEqual(await readAll(store, "1"), [
    { id: 1, event: state("queued") },
    { id: 2, event: state("running") },
    { id: 3, event: evaluation(7) },
    { id: 4, event: { type: "state", state: "failed", error: "out of luck" } },
  ]);
});

Deno.test("RunStore lists the newest run first", async () => {
  using store = await RunStore.open(":memory:");
  await store.create(run("b", { created_at: "2026-01-02T00:00:00Z" }));
  await store.create(run("a", { created_at: "2026-01-03T00:00:00Z" }));
  await store.create(run("c", { created_at: "2026-01-01T00:00:00Z" }));
  deepStrictEqual((await store.list()).map(({ id }) => id), ["a", "b", "c"]);
});

Deno.test("RunStore knows nothing of a run that was not created", async () => {
  using store = await RunStore.open(":memory:");
  deepStrictEqual(await store.get("1"), undefined);
  deepStrictEqual(await readAll(store, "1"), []);
  await rejects(store.append("1", state("running")), {
    name: "RangeError",
    message: "Cannot change run '1': there is none",
  });
});

Deno.test("RunStore keeps the events of runs apart", async () => {
  using store = await RunStore.open(":memory:");
  await store.create(run("1"));
  await store.create(run("10"));
  await store.append("1", evaluation(1));
  await store.append("10", evaluation(2));
  await store.setState("1", "succeeded");
  await store.setState("10", "failed");
  const over = (last: RunState, step: number) => [state("queued"), evaluation(step), state(last)];
  const eventsOf = async (id: string) => (await readAll(store, id)).map(({ event }) => event);
  deepStrictEqual(await eventsOf("1"), over("succeeded", 1));
  deepStrictEqual(await eventsOf("10"), over("failed", 2));
});

Deno.test("RunStore.events() replays a run that is over from any point", async () => {
  using store = await RunStore.open(":memory:");
  await store.create(run("1"));
  for (let step = 1; step <= 300; step++) await store.append("1", evaluation(step));
  await store.setState("1", "succeeded");
  const all = [state("queued"), ...Array.from({ length: 300 }, (_, i) => evaluation(i + 1))]
    .concat(state("succeeded"))
    .map((event, i) => ({ id: i + 1, event }));
  for (const after of [0, 1, 9, 10, 150, 301, 302]) {
    deepStrictEqual(await readAll(store, "1", after), all.slice(after));
  }
});

Deno.test("RunStore.events() gives each event once and in order, live and after reconnects", async () => {
  const pauses = fc.array(fc.nat(2), { maxLength: 15 });
  const connections = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(pauses, connections, fc.nat(3), async (pauses, connections, after) => {
      using store = await RunStore.open(":memory:");
      await store.create(run("1"));
      for (let step = 1; step <= 3; step++) await store.append("1", evaluation(step));

      const write = async () => {
        for (const [i, pause] of pauses.entries()) {
          for (let turn = 0; turn < pause; turn++) {
            await new Promise((resolve) => setTimeout(resolve, 0));
          }
          await store.append("1", evaluation(4 + i));
        }
        await store.setState("1", "succeeded");
      };
      const read = async () => {
        const seen: NumberedEvent[] = [];
        for (const count of [...connections, Infinity]) {
          const last = seen.at(-1)?.id ?? after;
          let left = count;
          for await (const event of store.events("1", last, new AbortController().signal)) {
            seen.push(event);
            if (--left === 0) break;
          }
        }
        return seen;
      };
      const [seen, other] = await Promise.all([read(), readAll(store, "1"), write()]);

      const count = 3 + pauses.length;
      const all = [state("queued"), ...Array.from({ length: count }, (_, i) => evaluation(i + 1))]
        .concat(state("succeeded"))
        .map((event, i) => ({ id: i + 1, event }));
      deepStrictEqual(seen, all.slice(after));
      deepStrictEqual(other, all);
    }),
    { numRuns: 50 },
  );
});

Deno.test("RunStore.events() gives an event before the next one is there", async () => {
  using store = await RunStore.open(":memory:");
  await store.create(run("1"));
  const events = store.events("1", 0, new AbortController().signal);
  deepStrictEqual((await events.next()).value, { id: 1, event: state("queued") });
  const next = events.next();
  await store.append("1", evaluation(1));
  deepStrictEqual((await next).value, { id: 2, event: evaluation(1) });
  await events.return(undefined);
});

Deno.test("RunStore.events() ends with the run", async () => {
  for (const last of ["succeeded", "failed"] as const) {
    using store = await RunStore.open(":memory:");
    await store.create(run("1"));
    const reading = readAll(store, "1");
    await store.setState("1", "running");
    await store.setState("1", last);
    deepStrictEqual((await reading).map(({ event }) => event), [
      state("queued"),
      state("running"),
      state(last),
    ]);
  }
});

Deno.test("RunStore.events() ends when it is aborted while it waits", async () => {
  using store = await RunStore.open(":memory:");
  await store.create(run("1"));
  const controller = new AbortController();
  const events = store.events("1", 0, controller.signal);
  await events.next();
  const next = events.next();
  controller.abort();
  ok((await next).done);
});

Deno.test("RunStore.events() ends when it is aborted between two events", async () => {
  using store = await RunStore.open(":memory:");
  await store.create(run("1"));
  const controller = new AbortController();
  const events = store.events("1", 0, controller.signal);
  await events.next();
  controller.abort();
  ok((await events.next()).done);
});

Deno.test("RunStore keeps evaluations", async () => {
  using store = await RunStore.open(":memory:");
  const running = {
    id: "1",
    state: "running",
    model: "titles",
    dataset: "sample",
    created_at: "2026-01-01T00:00:00Z",
    job: { type: "evaluate", modelDir: "runs/1", file: "test.csv", device: "auto", dtype: "fp32" },
  } as const;
  await store.putEvaluation(running);
  await store.putEvaluation({ ...running, id: "2" });
  await store.putEvaluation({ ...running, state: "succeeded" });
  deepStrictEqual(await store.getEvaluation("1"), { ...running, state: "succeeded" });
  deepStrictEqual(await store.getEvaluation("3"), undefined);
  deepStrictEqual((await store.listEvaluations()).map(({ id }) => id).sort(), ["1", "2"]);
});

Deno.test("RunStore.append() loses nothing when calls overlap", async () => {
  using store = await RunStore.open(":memory:");
  await store.create(run("1"));
  await Promise.all(Array.from({ length: 8 }, (_, step) => store.append("1", evaluation(step))));
  await store.setState("1", "succeeded");
  const steps = (await readAll(store, "1")).flatMap(({ event }) =>
    "step" in event ? event.step : []
  );
  deepStrictEqual(steps.sort(), [0, 1, 2, 3, 4, 5, 6, 7]);
});

Deno.test("RunStore.setState() leaves a run alone that is over", async () => {
  using store = await RunStore.open(":memory:");
  await store.create(run("1"));
  await store.setState("1", "failed");
  await rejects(store.setState("1", "succeeded"), /: it is failed$/);
  deepStrictEqual((await store.get("1"))?.state, "failed");
});

Deno.test("RunStore.events() is empty for a signal that is aborted already", async () => {
  using store = await RunStore.open(":memory:");
  await store.create(run("1"));
  deepStrictEqual(await readAll(store, "1", 1, AbortSignal.abort()), []);
});

Deno.test("RunStore.newest() gives runs by the time of their creation, and those of an older store", async () => {
  const path = await Deno.makeTempFile();
  try {
    const fields = { settings: {}, base: "bundled", dataset: "sample" };
    const created = (id: string, day: number) =>
      newRun({ id, name: id, created_at: `2026-01-${String(day).padStart(2, "0")}`, ...fields });
    using older = await Deno.openKv(path);
    for (const [id, day] of [["b", 2], ["a", 1]] as const) {
      await older.set(["runs", id], created(id, day));
    }
    using store = await RunStore.open(path);
    await store.create(created("c", 3));
    const ids = async (after?: string) =>
      (await Array.fromAsync(
        store.newest(after === undefined ? undefined : await store.get(after)),
      ))
        .map(({ id }) => id);
    deepStrictEqual(await ids(), ["c", "b", "a"]);
    deepStrictEqual(await ids("c"), ["b", "a"]);
    await store.delete("b");
    deepStrictEqual(await ids(), ["c", "a"]);
  } finally {
    await Deno.remove(path);
  }
});
