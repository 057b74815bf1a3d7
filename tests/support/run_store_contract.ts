/**
 * Holds every implementation of `RunStore` to what it promises.
 *
 * @module
 */
import { deepStrictEqual, ok, rejects } from "node:assert";
import fc from "fast-check";
import {
  AttemptedRun,
  type Evaluation,
  newRun,
  type NumberedEvent,
  type Run,
  type RunEvent,
  type RunState,
  type RunStore,
} from "../../orchestration/run_store.ts";

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

/**
 * Tests an implementation.
 *
 * @param implementation The name of its class.
 * @param open Opens an empty store.
 */
export function testRunStore(
  implementation: string,
  open: () => Promise<RunStore>,
  { numRuns = 50, ...options }: { numRuns?: number } & Partial<Deno.TestDefinition> = {},
): void {
  const test = (name: string, fn: () => Promise<void>) =>
    Deno.test({ ...options, name: `${implementation} ${name}`, fn });

  test("keeps a run with its changes", async () => {
    using store = await open();
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

  test("lists the newest run first", async () => {
    using store = await open();
    await store.create(run("b", { created_at: "2026-01-02T00:00:00Z" }));
    await store.create(run("a", { created_at: "2026-01-03T00:00:00Z" }));
    await store.create(run("c", { created_at: "2026-01-01T00:00:00Z" }));
    deepStrictEqual((await store.list()).map(({ id }) => id), ["a", "b", "c"]);
  });

  test("knows nothing of a run that was not created", async () => {
    using store = await open();
    deepStrictEqual(await store.get("1"), undefined);
    deepStrictEqual(await readAll(store, "1"), []);
    await rejects(store.append("1", state("running")), {
      name: "RangeError",
      message: "Cannot change run '1': there is none",
    });
  });

  test("keeps the events of runs apart", async () => {
    using store = await open();
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

  test("events() replays a run that is over from any point", async () => {
    using store = await open();
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

  test("events() gives each event once and in order, live and after reconnects", async () => {
    const pauses = fc.array(fc.nat(2), { maxLength: 15 });
    const connections = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(pauses, connections, fc.nat(3), async (pauses, connections, after) => {
        using store = await open();
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
      { numRuns },
    );
  });

  test("events() gives an event before the next one is there", async () => {
    using store = await open();
    await store.create(run("1"));
    const events = store.events("1", 0, new AbortController().signal);
    deepStrictEqual((await events.next()).value, { id: 1, event: state("queued") });
    const next = events.next();
    await store.append("1", evaluation(1));
    deepStrictEqual((await next).value, { id: 2, event: evaluation(1) });
    await events.return(undefined);
  });

  test("events() ends with the run", async () => {
    for (const last of ["succeeded", "failed"] as const) {
      using store = await open();
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

  test("events() ends when it is aborted while it waits", async () => {
    using store = await open();
    await store.create(run("1"));
    const controller = new AbortController();
    const events = store.events("1", 0, controller.signal);
    await events.next();
    const next = events.next();
    controller.abort();
    ok((await next).done);
  });

  test("events() ends when it is aborted between two events", async () => {
    using store = await open();
    await store.create(run("1"));
    const controller = new AbortController();
    const events = store.events("1", 0, controller.signal);
    await events.next();
    controller.abort();
    ok((await events.next()).done);
  });

  test("keeps evaluations", async () => {
    using store = await open();
    const running: Evaluation = { ...evaluationOf("1"), state: "running" };
    await store.createEvaluation(running);
    await store.createEvaluation({ ...running, id: "2" });
    await store.updateEvaluation("1", ({ state }) => {
      deepStrictEqual(state, "running");
      return { state: "succeeded" };
    });
    await rejects(store.updateEvaluation("3", () => ({})), { name: "RangeError" });
    deepStrictEqual(await store.getEvaluation("1"), { ...running, state: "succeeded" });
    deepStrictEqual(await store.getEvaluation("3"), undefined);
    deepStrictEqual((await store.listEvaluations()).map(({ id }) => id).sort(), ["1", "2"]);
  });

  test("newestEvaluations() gives those after one, and of one model", async () => {
    using store = await open();
    for (const [day, model] of ["a@1", "b@1", "a@2", "a@1"].entries()) {
      const created_at = `2026-01-0${day + 1}T00:00:00.000Z`;
      await store.createEvaluation({ ...evaluationOf(String(day)), model, created_at });
    }
    const ids = async (...args: Parameters<RunStore["newestEvaluations"]>) =>
      (await Array.fromAsync(store.newestEvaluations(...args))).map(({ id }) => id);
    deepStrictEqual(await ids(), ["3", "2", "1", "0"]);
    const isWanted = ({ model }: { model: string }) => model.startsWith("a");
    deepStrictEqual(await ids(await store.getEvaluation("2"), isWanted), ["0"]);
  });

  test("append() loses nothing when calls overlap", async () => {
    using store = await open();
    await store.create(run("1"));
    await Promise.all(Array.from({ length: 8 }, (_, step) => store.append("1", evaluation(step))));
    await store.setState("1", "succeeded");
    const steps = (await readAll(store, "1")).flatMap(({ event }) =>
      "step" in event ? event.step : []
    );
    deepStrictEqual(steps.sort(), [0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test("setState() leaves a run alone that is over", async () => {
    using store = await open();
    await store.create(run("1"));
    await store.setState("1", "failed");
    await rejects(store.setState("1", "succeeded"), /: it is failed$/);
    deepStrictEqual((await store.get("1"))?.state, "failed");
  });

  test("events() is empty for a signal that is aborted already", async () => {
    using store = await open();
    await store.create(run("1"));
    deepStrictEqual(await readAll(store, "1", 1, AbortSignal.abort()), []);
  });

  test("creates one run for a key, however often and by whom", async () => {
    using store = await open();
    const request = { owner: "someone", key: "k 1", sha256: "aa" };
    deepStrictEqual(await store.created(request), undefined);
    const made = await Promise.all(
      ["1", "2", "3", "4"].map((id) => store.create(run(id), request)),
    );
    deepStrictEqual(made.filter(Boolean).length, 1);
    const { runId, sha256 } = (await store.created(request))!;
    deepStrictEqual(sha256, "aa");
    deepStrictEqual((await store.list()).map(({ id }) => id), [runId]);
    deepStrictEqual(await store.created({ ...request, owner: "another" }), undefined);
    ok(await store.create(run("5"), { ...request, owner: "another" }));
  });

  test("lists the newest runs that are wanted, page by page", async () => {
    using store = await open();
    for (let day = 10; day < 30; day++) {
      const name = day % 2 === 0 ? "even" : "odd";
      await store.create(run(`${day}`, { created_at: `2026-01-${day}T00:00:00Z`, name }));
    }
    await store.setState("28", "failed");
    const isWanted = ({ name, state }: { name: string; state: RunState }) =>
      name === "even" && state === "queued";
    const take = async (count: number, after?: Run) => {
      const page: Run[] = [];
      for await (const found of store.newest(after, isWanted)) {
        page.push(found);
        if (page.length === count) break;
      }
      return page;
    };
    const first = await take(3);
    deepStrictEqual(first.map(({ id }) => id), ["26", "24", "22"]);
    const older = ["20", "18", "16", "14", "12", "10"];
    deepStrictEqual((await take(9, first.at(-1))).map(({ id }) => id), older);
    await store.delete("22");
    deepStrictEqual((await take(9, first.at(-1))).map(({ id }) => id), older);
    deepStrictEqual(await store.get("22"), undefined);
    deepStrictEqual(await store.eventsSoFar("22", 0), []);
  });

  test("gives a task to one claimer, in turn, until it is released", async () => {
    using store = await open();
    const never = new AbortController().signal;
    for (const id of ["1", "2", "3"]) {
      await store.create(run(id));
      await store.enqueue({ kind: "run", id });
    }
    await store.enqueue({ kind: "run", id: "3" });
    deepStrictEqual(store.queueLength, 3);
    const claims = [await store.claim(never), await store.claim(never), await store.claim(never)];
    deepStrictEqual(claims.map((claim) => claim?.id), ["1", "2", "3"]);
    for (const claim of claims) {
      await claim!.keepAlive();
      await store.setState(claim!.id, "running");
      await store.setState(claim!.id, "succeeded");
      await claim!.release();
    }
    const waiting = new AbortController();
    const next = store.claim(waiting.signal);
    waiting.abort();
    deepStrictEqual(await next, undefined);
  });

  test("gives those who wait for a task one each", async () => {
    using store = await open();
    const never = new AbortController().signal;
    const claims = [store.claim(never), store.claim(never)];
    const ids = ["1", "2"];
    for (const id of ids) await store.createEvaluation(evaluationOf(id));
    await Promise.all(ids.map((id) => store.enqueue({ kind: "evaluation", id })));
    const claimed = (await Promise.all(claims)).map((claim) => [claim?.kind, claim?.id]);
    deepStrictEqual(claimed.sort(), [["evaluation", "1"], ["evaluation", "2"]]);
  });

  test("refuses changes by an attempt that another has replaced", async () => {
    using store = await open();
    await store.create(run("1"));
    const first = new AttemptedRun(store, "1", 1);
    const second = new AttemptedRun(store, "1", 2);
    await store.setState("1", "running", { attempt: 1 });
    await first.append(evaluation(1));
    await store.change("1", () => ({ attempt: 2 }));
    const replaced = { name: "AttemptReplacedError" };
    await rejects(first.append(evaluation(2)), replaced);
    await rejects(first.change({ checkpoint_step: 2 }), replaced);
    await rejects(first.setState("succeeded"), replaced);
    await second.append(evaluation(3));
    await second.setState("succeeded");
    deepStrictEqual((await store.get("1"))?.checkpoint_step, 0);
    deepStrictEqual((await readAll(store, "1")).map(({ event }) => event), [
      state("queued"),
      state("running"),
      evaluation(1),
      evaluation(3),
      state("succeeded"),
    ]);
  });
}

/** A queued evaluation. */
export function evaluationOf(id: string): Evaluation {
  return {
    id,
    state: "queued",
    model: "titles",
    dataset: "sample",
    created_at: "2026-01-01T00:00:00Z",
    job: { type: "evaluate", modelDir: "runs/1", file: "test.csv", device: "auto", dtype: "fp32" },
  };
}
