import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert";
import { join } from "node:path";
import { newRun } from "../orchestration/run_store.ts";
import type { TrainEvent } from "../training/events.ts";
import { TrainingInterrupted } from "../training/interrupted.ts";
import { TrainSettings } from "../training/settings.ts";
import { SONGS_AND_RECIPES } from "./support/small_datasets.ts";
import { train } from "../training/train.ts";
import { LocalServer } from "./support/local_server.ts";

/** The part of an answer that the tests look at. */
interface Answer {
  state: string;
  dataset: string;
  read_only?: boolean;
  checkpoint_step: number;
  progress?: { step: number; steps: number };
  result?: { steps: number; best_epoch: number; metrics: { n: number; per_class?: unknown } };
}

/** A server's answer, as JSON. */
async function get<Body>(server: LocalServer, path: string): Promise<Body> {
  return await (await server.app.request(path)).json();
}

Deno.test("a run of the command line is seen while it trains, stopped and finished", async () => {
  await using server = await LocalServer.start({ supervisorOptions: { workers: 0 } });
  const run = () => get<Answer>(server, "/v1/runs/mine");
  const outDir = join(server.runsDir, "mine");
  const settings = TrainSettings.parse({
    model: "scratch:tiny",
    threads: 1,
    batchSize: 8,
    epochs: 3,
    partner: "none",
  });
  const stopper = new AbortController();
  const seen: Promise<Answer>[] = [];
  const onEvent = ({ type }: TrainEvent) => {
    if (type === "step" && seen.length === 0) seen.push(run());
    if (type === "checkpoint") stopper.abort();
  };
  const { signal } = stopper;
  await rejects(
    train(SONGS_AND_RECIPES, { settings, outDir, onEvent, signal }),
    TrainingInterrupted,
  );

  const [training] = await Promise.all(seen);
  strictEqual(training!.state, "running");
  const stopped = await run();
  deepStrictEqual([stopped.state, stopped.read_only], ["cancelled", true]);
  const { step, steps } = stopped.progress!;
  deepStrictEqual([stopped.checkpoint_step, steps], [step, 3 * step]);

  await train(SONGS_AND_RECIPES, { settings, outDir, resume: true });
  const finished = await run();
  strictEqual(finished.state, "succeeded");
  deepStrictEqual(finished.progress!.step, steps);
  strictEqual(finished.result!.steps, steps);
  ok(finished.result!.best_epoch >= 1 && finished.result!.metrics.n > 0);
  strictEqual(finished.result!.metrics.per_class, undefined);
  const history = await get<{ evaluations: { step: number; best: boolean }[]; is_live: boolean }>(
    server,
    "/v1/runs/mine/history",
  );
  deepStrictEqual(history.evaluations.map((it) => it.step), [step, 2 * step, 3 * step]);
  strictEqual(history.evaluations[0]!.best, true);
  strictEqual(history.is_live, false);
});

Deno.test("runs of the command line stand among the server's by their time, page by page", async () => {
  await using server = await LocalServer.start({ supervisorOptions: { workers: 0 } });
  const args = { data: "/data/titles", problem_type: "single_label_classification" };
  for (const [minute, name] of [[1, "first"], [3, "third"], [5, "fifth"]] as const) {
    await Deno.mkdir(join(server.runsDir, name));
    const file = join(server.runsDir, name, "training_args.json");
    await Deno.writeTextFile(file, JSON.stringify(args));
    const time = new Date(Date.UTC(2026, 0, 1, 0, minute));
    await Deno.utime(file, time, time);
  }
  for (const [minute, id] of [[2, "second"], [4, "fourth"]] as const) {
    const created_at = new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString();
    const fields = { settings: {}, base: "bundled", dataset: "sample", created_at };
    await server.store.create(newRun({ id, name: id, ...fields }));
  }
  // Not a run, or not a whole one.
  await Deno.mkdir(join(server.runsDir, "damaged"));
  await Deno.writeTextFile(join(server.runsDir, "damaged", "training_args.json"), "{");

  const page = (query: string) =>
    get<{ runs: { id: string }[]; next: string | null }>(server, `/v1/runs?${query}`);
  const all: string[] = [];
  let next: string | null = "";
  while (next !== null) {
    const answer: Awaited<ReturnType<typeof page>> = await page(`limit=2&after=${next}`
      .replace(/&after=$/, ""));
    all.push(...answer.runs.map(({ id }) => id));
    next = answer.next;
  }
  deepStrictEqual(all, ["fifth", "fourth", "third", "second", "first"]);
  deepStrictEqual((await page("dataset=titles&name=th")).runs.map(({ id }) => id), [
    "fifth",
    "third",
  ]);
  deepStrictEqual((await page("state=queued")).runs.map(({ id }) => id), ["fourth", "second"]);
});

Deno.test("a run of the command line is not to be stopped, resumed, repeated or removed", async () => {
  await using server = await LocalServer.start({ supervisorOptions: { workers: 0 } });
  await Deno.mkdir(join(server.runsDir, "mine"));
  const file = join(server.runsDir, "mine", "training_args.json");
  await Deno.writeTextFile(file, JSON.stringify({ data: "titles" }));
  for (const path of ["cancel", "resume", "retry"]) {
    const response = await server.send("POST", `/v1/runs/mine/${path}`, {});
    deepStrictEqual([path, response.status], [path, 409]);
  }
  strictEqual((await server.send("DELETE", "/v1/runs/mine", undefined)).status, 409);
  for (const name of ["..", ".", "mine%2F..", "a%00b", "%2E%2E%2Fmine"]) {
    strictEqual((await server.app.request(`/v1/runs/${name}`)).status >= 400, true, name);
    strictEqual((await server.app.request(`/v1/runs/${name}`)).status < 500, true, name);
  }
  ok(await Deno.stat(file));
});
