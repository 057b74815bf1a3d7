import { deepStrictEqual, ok } from "node:assert";
import { isOver } from "../../orchestration/run_store.ts";
import { disturbRuns, pause, TestCluster } from "../cluster/disturbed_runs.ts";
import { clusterTest } from "../cluster/nats_servers.ts";
import { SIDE_BY_SIDE } from "../graft.ts";

async function killedRuns(): Promise<void> {
  await disturbRuns({
    runs: 2,
    workers: 2,
    maxSteps: 20,
    checkpointsPerWorkerKill: 1,
    workerKills: 2,
    checkpointsPerNatsKill: 1,
    natsKills: 1,
    leaseSeconds: 3,
  });
}

async function stoppedWorker(): Promise<void> {
  await using cluster = await TestCluster.start({ nodes: 1, leaseSeconds: 3 });
  const { store } = cluster.member;
  const stopped = cluster.workers.start("stopped", "--labels", "first,big");
  const id = await cluster.submit("titles", { max_steps: 60, save_steps: 10 });
  const seen = async (isThere: (attempt: number, step: number) => boolean) => {
    for await (const run of store.watch(id, new AbortController().signal)) {
      if (run !== undefined && (isOver(run) || isThere(run.attempt, run.checkpoint_step))) return;
    }
  };
  await seen((_, step) => step > 0);
  stopped.kill("SIGSTOP");
  cluster.workers.start("other");
  await seen((attempt) => attempt === 2);
  stopped.kill("SIGCONT");
  const { state, attempt } = await cluster.over(id);
  deepStrictEqual([state, attempt], ["succeeded", 2]);
  await pause(500);
  const events = await store.eventsSoFar(id, 0);
  deepStrictEqual(events.map((event) => event.id), events.map((_, i) => i + 1));
  const starts = events.flatMap(({ id, event }) => event.type === "start" ? [id] : []);
  deepStrictEqual(starts.length, 2);
  // After the second start there is nothing that the first attempt did: steps only grow.
  const steps = events.filter(({ id }) => id > starts[1]!)
    .flatMap(({ event }) => event.type === "step" ? [event.step] : []);
  deepStrictEqual(steps, steps.toSorted((a, b) => a - b));
  ok(steps.length > 0);
  deepStrictEqual(cluster.member.models.all().flatMap(({ versions }) => versions).length, 1);
  // It is there for the next tasks, which the other one may not have.
  const next = await cluster.submit("next", { max_steps: 5 }, "big");
  deepStrictEqual((await cluster.over(next)).state, "succeeded");
  await cluster.workers.end("other");
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
        name:
          "a worker that is stopped past its lease writes nothing when it wakes up, and works on",
        fn: stoppedWorker,
      }),
      test.step({
        ...SIDE_BY_SIDE,
        name:
          "a run is cancelled within a step on another machine, and a worker that is told to end leaves it to others",
        fn: cancelledRun,
      }),
    ]);
  },
});
