import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert";
import { TrainSettings } from "../training/settings.ts";
import { newTrials } from "../training/trials.ts";
import { KvRunStore } from "./kv_run_store.ts";
import {
  AttemptedRun,
  AttemptReplacedError,
  newRun,
  type Run,
  type RunResult,
} from "./run_store.ts";
import { isTuning, newTuning, type TunedRun, TuningWork } from "./tuning_work.ts";

const SETTINGS = { mode: "lora", model: "bundled", batch_size: 8, metric: "accuracy" };
const EXAMPLES = 80;
const TRIALS = newTrials(
  TrainSettings.parse({ mode: "lora" }),
  { learningRate: 1e-3, epochs: 4 },
  { count: 4, chosen: [] },
);

async function tuned(
  store: KvRunStore,
  { settings = SETTINGS, minutes }: { settings?: Run["settings"]; minutes?: number } = {},
): Promise<void> {
  const tuning = newTuning(TRIALS, { examples: EXAMPLES, minutes });
  const fields = { settings, base: "bundled", dataset: "sample", tuning };
  await store.create(newRun({ id: "tuned", name: "titles", ...fields }));
}

async function get(store: KvRunStore, id: string): Promise<Run> {
  return (await store.get(id))!;
}

/** The trial that comes next, such as `2-25`: the second, with a quarter of its steps. */
async function next(store: KvRunStore): Promise<string | undefined> {
  const run = await get(store, "tuned") as TunedRun;
  const own = new AttemptedRun(store, run.id, run.attempt);
  return (await new TuningWork(store).nextTrial(own, run))?.slice("tuned-trial-".length);
}

/** Ends the run of a trial as if it had been trained. */
async function finish(
  store: KvRunStore,
  { id, settings }: Run,
  value: number,
  metric = "accuracy",
): Promise<void> {
  const started_at = new Date(0).toISOString();
  await store.setState(id, "running", { started_at });
  const metrics = { [metric]: value, interval: { [metric]: [value - 0.05, value + 0.05] } };
  const result = { steps: settings["max_steps"], metrics } as unknown as RunResult;
  await store.setState(id, "succeeded", { result, finished_at: new Date(10_000).toISOString() });
}

Deno.test("a search halves its trials, and its run gets the settings of the best", async () => {
  using store = await KvRunStore.open(":memory:");
  await tuned(store);
  strictEqual(await next(store), "1-25");
  // A trial that has begun comes next until it is over.
  await store.setState("tuned-trial-1-25", "running");
  strictEqual(await next(store), "1-25");
  await store.setState("tuned-trial-1-25", "queued");

  const seen: string[] = [];
  for (let trial; (trial = await next(store)) !== undefined;) {
    seen.push(trial);
    // The later, the better.
    await finish(store, await get(store, `tuned-trial-${trial}`), Number(trial[0]) / 10);
  }
  deepStrictEqual(seen, [
    ...["1-25", "2-25", "3-25", "4-25"],
    ...["1-50", "4-50", "3-50"],
    ...["1-100", "4-100", "3-100"],
  ]);
  const { learning_rate, epochs, lora_rank, max_steps } =
    (await get(store, "tuned-trial-2-25")).settings;
  deepStrictEqual({ learningRate: learning_rate, epochs, loraRank: lora_rank }, TRIALS[1]);
  strictEqual(max_steps, Math.ceil(TRIALS[1]!.epochs * 10 / 4));

  const run = await get(store, "tuned");
  strictEqual(run.tuning!.best, 3);
  ok(!isTuning(run));
  strictEqual(run.settings["lora_rank"], TRIALS[3]!.loraRank);
  strictEqual(run.settings["learning_rate"], TRIALS[3]!.learningRate);
  strictEqual(run.settings["max_steps"], undefined);
  deepStrictEqual(run.tuning!.results.find(({ trial, share }) => trial === 3 && share === 1), {
    trial: 3,
    share: 1,
    steps: TRIALS[3]!.epochs * 10,
    seconds: 10,
    value: 0.4,
    interval: [0.35000000000000003, 0.45],
  });
});

Deno.test("a search goes on without trials that fail, until they are resumed", async () => {
  using store = await KvRunStore.open(":memory:");
  await tuned(store);
  const ends = ["failed", "cancelled"] as const;
  for (const state of ends) await store.setState(`tuned-trial-${await next(store)}`, state);
  strictEqual(await next(store), "3-25");
  deepStrictEqual((await get(store, "tuned")).tuning!.failed, [0, 1]);

  await store.setState("tuned-trial-1-25", "queued", {}, ["failed"]);
  strictEqual(await next(store), "1-25");
  await finish(store, await get(store, "tuned-trial-1-25"), 0.5);
  strictEqual(await next(store), "3-25");
  deepStrictEqual((await get(store, "tuned")).tuning!.failed, [1]);
});

Deno.test("a search fails if all of its trials do", async () => {
  using store = await KvRunStore.open(":memory:");
  await tuned(store);
  for (let i = 0; i < 4; i++) {
    await store.setState(`tuned-trial-${await next(store)}`, "failed", { error: "no memory" });
  }
  await rejects(next(store), { message: "no settings could be tried: no memory" });
});

Deno.test("a search prefers the smaller error", async () => {
  using store = await KvRunStore.open(":memory:");
  await tuned(store, { settings: { ...SETTINGS, problem_type: "regression", metric: "mse" } });
  for (let trial; (trial = await next(store)) !== undefined;) {
    await finish(store, await get(store, `tuned-trial-${trial}`), Number(trial[0]), "mse");
  }
  strictEqual((await get(store, "tuned")).tuning!.best, 0);
});

Deno.test("a search begins no trial that would end after its minutes", async () => {
  using store = await KvRunStore.open(":memory:");
  await tuned(store, { minutes: 0.01 });
  strictEqual(await next(store), "1-25");
  await finish(store, await get(store, "tuned-trial-1-25"), 0.5);
  strictEqual(await next(store), undefined);
  strictEqual((await get(store, "tuned")).tuning!.best, 0);
});

Deno.test("a worker that another has replaced changes nothing of a search", async () => {
  using store = await KvRunStore.open(":memory:");
  await tuned(store);
  const run = await get(store, "tuned") as TunedRun;
  await store.change("tuned", () => ({ attempt: 1 }));
  const replaced = new AttemptedRun(store, "tuned", 0);
  await rejects(new TuningWork(store).nextTrial(replaced, run), AttemptReplacedError);
  strictEqual((await store.list()).length, 1);
});
