import { deepStrictEqual, match, ok } from "node:assert";
import { isOver } from "../../orchestration/run_store.ts";
import { newTuning } from "../../orchestration/tuning_work.ts";
import { disturbRuns, TestCluster } from "../cluster/disturbed_runs.ts";
import { clusterTest } from "../cluster/nats_servers.ts";
import { SIDE_BY_SIDE } from "../support/graft.ts";

async function killedRuns(): Promise<void> {
  await disturbRuns({
    runs: 2,
    workers: 2,
    maxSteps: 20,
    checkpointsPerWorkerKill: 1,
    workerKills: 2,
    checkpointsPerNatsKill: 1,
    natsKills: 1,
    leaseSeconds: 6,
  });
}

/** The names of what an attempt of a run has stored. */
async function filesOf({ member }: TestCluster, run: string, attempt: number): Promise<string[]> {
  const names = await Array.fromAsync(await (await member.cluster.bucket("artifacts")).keys());
  return names.filter((name) => name.startsWith(`runs/${run}/${attempt}/`));
}

async function stoppedWorker(): Promise<void> {
  await using cluster = await TestCluster.start({ nodes: 1, leaseSeconds: 15 });
  const { store } = cluster.member;
  const stopped = cluster.workers.start("stopped", "--tasks", "2");
  // Enough steps that the worker is stopped before the last, however late that is seen here.
  const id = await cluster.submit("titles", { max_steps: 300, epochs: 100, save_steps: 30 });
  const seen = async (isThere: (attempt: number, step: number) => boolean) => {
    for await (const run of store.watch(id, new AbortController().signal)) {
      if (run !== undefined && (isOver(run) || isThere(run.attempt, run.checkpoint_step))) return;
    }
  };
  await seen((_, step) => step > 0);
  stopped.process.kill("SIGSTOP");
  // On a busy machine this one may lose its lease as well, and end.
  cluster.workers.keep("other", ["--labels", "first,big"]);
  await seen((attempt) => attempt >= 2);
  const stored = await filesOf(cluster, id, 1);
  stopped.process.kill("SIGCONT");
  match(
    await stopped.words,
    new RegExp(`^error: .*'${id}': attempt \\d+ has taken the place of 1, as nothing .*\n$`, "m"),
  );
  deepStrictEqual((await stopped.process.status).code, 1);
  for (const name of await filesOf(cluster, id, 1)) ok(stored.includes(name), name);
  const { state, attempt } = await cluster.over(id);
  deepStrictEqual(state, "succeeded");
  ok(attempt >= 2);
  const events = await store.eventsSoFar(id, 0);
  deepStrictEqual(events.map((event) => event.id), events.map((_, i) => i + 1));
  const starts = events.flatMap(({ id, event }) => event.type === "start" ? [id] : []);
  ok(starts.length >= 2);
  // After the last start there is nothing that earlier attempts did: steps only grow.
  const steps = events.filter(({ id }) => id > starts.at(-1)!)
    .flatMap(({ event }) => event.type === "step" ? [event.step] : []);
  deepStrictEqual(steps, steps.toSorted((a, b) => a - b));
  ok(steps.length > 0);
  deepStrictEqual(cluster.member.models.all().flatMap(({ versions }) => versions).length, 1);
  const next = await cluster.submit("next", { max_steps: 5 }, { worker_label: "big" });
  deepStrictEqual((await cluster.over(next)).state, "succeeded");
  const { accuracy } = await cluster.evaluate(next);
  ok(accuracy >= 0 && accuracy <= 1);
}

async function cancelledRun(): Promise<void> {
  await using cluster = await TestCluster.start({ nodes: 1, leaseSeconds: 30 });
  const { store } = cluster.member;
  cluster.workers.start("first");
  const id = await cluster.submit("titles", { max_steps: 4000, epochs: 1000, save_steps: 4000 });
  const stepSeen = async () => {
    for await (const { event } of store.events(id, 0, new AbortController().signal)) {
      if (event.type === "step") return;
    }
  };
  await stepSeen();
  await cluster.workers.end("first", "SIGTERM");
  const left = await store.get(id);
  deepStrictEqual(left?.state, "queued");
  ok(left.checkpoint_step > 0);
  cluster.workers.start("second");
  for await (const run of store.watch(id, new AbortController().signal)) {
    if (run?.attempt === 2 && run.progress!.step > left.checkpoint_step) break;
  }
  await cluster.supervisor.cancel(id);
  deepStrictEqual((await cluster.over(id)).state, "cancelled");
}

async function tunedRun(): Promise<void> {
  await using cluster = await TestCluster.start({ nodes: 1, leaseSeconds: 6 });
  const { store } = cluster.member;
  const first = cluster.workers.start("first");
  const trials = [1e-4, 1e-3].map((learningRate) => ({ learningRate, epochs: 1 }));
  const tuning = newTuning(trials, { examples: 200 });
  const id = await cluster.submit("titles", { max_steps: 8 }, { tuning });
  for await (const run of store.watch(`${id}-trial-2-25`, new AbortController().signal)) {
    if (run?.state === "running") break;
  }
  first.process.kill("SIGKILL");
  cluster.workers.start("second");
  const run = await cluster.over(id);
  deepStrictEqual([run.state, run.error, run.tuning!.failed], ["succeeded", undefined, []]);
  deepStrictEqual(run.settings["learning_rate"], trials[run.tuning!.best!]!.learningRate);
  deepStrictEqual(run.result!.metrics.split, "test");
  // The trials leave no models.
  deepStrictEqual(cluster.member.models.all().flatMap(({ versions }) => versions).length, 1);
}

Deno.test({
  ...clusterTest,
  name: "runs of a cluster whose workers die, hang and are told to end go on elsewhere",
  fn: async (test) => {
    await Promise.all([
      test.step({
        ...SIDE_BY_SIDE,
        name:
          "runs whose workers and NATS nodes are killed end once, with the bytes of one undisturbed",
        fn: killedRuns,
      }),
      test.step({
        ...SIDE_BY_SIDE,
        name: "a worker that is stopped past its lease writes nothing when it wakes up, and ends",
        fn: stoppedWorker,
      }),
      test.step({
        ...SIDE_BY_SIDE,
        name:
          "a run is cancelled within a step on another machine, and a worker that is told to end leaves it to others",
        fn: cancelledRun,
      }),
      test.step({
        ...SIDE_BY_SIDE,
        name: "a search for settings goes on with another worker when the first is killed",
        fn: tunedRun,
      }),
    ]);
  },
});
