/**
 * Runs of a cluster whose workers and NATS nodes are killed while they train.
 *
 * @module
 */
import { deepStrictEqual, ok } from "node:assert";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { Random } from "../../lib/random.ts";
import { ClusterMember } from "../../orchestration/cluster/member.ts";
import { isOver, newRun, type Run } from "../../orchestration/run_store.ts";
import { Supervisor } from "../../orchestration/supervisor.ts";
import { MAIN, QUICK_START } from "../support/graft.ts";
import { NatsServers } from "./nats_servers.ts";
/** The amount of work, and how badly it is disturbed. */
export interface Disturbance {
  runs: number;
  workers: number;
  maxSteps: number;
  /**
   * The approximate number of checkpoints, of all runs, after which a worker is killed and started
   * again: by the clock, a slow machine would be disturbed too often to get anything done.
   */
  checkpointsPerWorkerKill: number;
  /** The number of workers to kill; unlimited by default. */
  workerKills?: number;
  /** The number of checkpoints before a NATS node is killed and restarted; by default never. */
  checkpointsPerNatsKill?: number;
  /** The number of NATS nodes to kill; unlimited by default. */
  natsKills?: number;
  /** The silence after which a worker loses its tasks to another. */
  leaseSeconds: number;
  log?: (line: string) => void;
}

/** A worker process. */
export interface Worker {
  process: Deno.ChildProcess;
  /** Whatever it writes to standard error, once it has ended. */
  words: Promise<string>;
}

/** Worker processes, which can be killed. */
export class WorkerProcesses implements AsyncDisposable {
  readonly #dir: string;
  readonly #servers: string;
  readonly #leaseSeconds: number;
  readonly #workers = new Map<string, Worker>();

  constructor(dir: string, servers: string, leaseSeconds: number) {
    this.#dir = dir;
    this.#servers = servers;
    this.#leaseSeconds = leaseSeconds;
  }

  /** Starts a worker. */
  start(name: string, ...flags: string[]): Worker {
    const args = [
      ...["run", "--quiet", "-A", MAIN, "worker", "--cluster", this.#servers],
      ...["--lease", String(this.#leaseSeconds), "--name", name, "--device", "wasm"],
      ...["--runs", join(this.#dir, `${name}-${crypto.randomUUID()}`), ...flags],
    ];
    const process = new Deno.Command("deno", {
      args,
      env: QUICK_START,
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const worker = { process, words: process.stderr.text() };
    this.#workers.set(name, worker);
    return worker;
  }

  /** Starts a worker, and again whenever it ends by itself, as a supervisor does. */
  keep(name: string, flags: string[] = [], onEnd = (_words: string) => {}): void {
    const worker = this.start(name, ...flags);
    void worker.words.then((words) => {
      if (this.#workers.get(name) !== worker) return;
      onEnd(words);
      this.keep(name, flags, onEnd);
    });
  }

  /** Ends a worker with a signal, and waits for its end. */
  async end(name: string, signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    const worker = this.#workers.get(name);
    this.#workers.delete(name);
    try {
      worker?.process.kill(signal);
    } catch {
      // The worker has ended already.
    }
    await worker?.process.status;
    await worker?.words;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of [...this.#workers.keys()]) await this.end(name);
  }
}

/** A cluster without servers, to which the test itself submits runs. */
export class TestCluster implements AsyncDisposable {
  readonly dir: string;
  readonly nats: NatsServers;
  readonly member: ClusterMember;
  readonly workers: WorkerProcesses;
  readonly supervisor: Supervisor;

  private constructor(dir: string, nats: NatsServers, member: ClusterMember, leaseSeconds: number) {
    this.dir = dir;
    this.nats = nats;
    this.member = member;
    this.workers = new WorkerProcesses(dir, nats.servers, leaseSeconds);
    const { store, files, datasets } = member;
    this.supervisor = new Supervisor({
      store,
      files,
      runsDir: dir,
      datasetDir: (name) => datasets.dirOf(name),
      workers: 0,
    });
  }

  /** Starts NATS nodes, and joins their cluster. */
  static async start({ nodes = 3, leaseSeconds = 4 } = {}): Promise<TestCluster> {
    const dir = await Deno.makeTempDir();
    const nats = await NatsServers.start(nodes);
    const runsDir = join(dir, "test");
    const member = await ClusterMember.join(
      { servers: nats.servers, runsDir, leaseMs: leaseSeconds * 1000, patienceMs: 60_000 },
      () => Promise.resolve(),
    );
    return new TestCluster(dir, nats, member, leaseSeconds);
  }

  /** Submits a small run, and returns its id. */
  async submit(
    name: string,
    settings: Record<string, unknown>,
    others: Pick<Partial<Run>, "worker_label" | "tuning"> = {},
  ): Promise<string> {
    const id = crypto.randomUUID();
    const run = newRun({
      ...{ id, ...others },
      name,
      base: "scratch:tiny",
      dataset: "sample",
      settings: {
        ...{ mode: "full", model: "scratch:tiny", device: "wasm", threads: 1, partner: "none" },
        ...{ save_steps: 5, max_train_samples: 200, problem_type: "single_label_classification" },
        ...settings,
      },
    });
    await this.supervisor.submit(run);
    return id;
  }

  /**
   * Waits until a run is over.
   *
   * @param onCheckpoint Called at each new checkpoint.
   */
  async over(id: string, onCheckpoint = () => {}): Promise<Run> {
    let step = 0;
    for await (const run of this.member.store.watch(id, new AbortController().signal)) {
      if (run === undefined) break;
      if (isOver(run)) return run;
      if (run.checkpoint_step > step) onCheckpoint();
      step = run.checkpoint_step;
    }
    throw new Error(`the run '${id}' is gone`);
  }

  /** Evaluates the model of a run on a worker, and returns the report. */
  async evaluate(run: string): Promise<{ accuracy: number }> {
    const { store, files } = this.member;
    const id = crypto.randomUUID();
    // The paths of the machine that asks are of no use to the worker.
    const elsewhere = { modelDir: join("/nowhere", run), file: "/nowhere/test.csv" };
    await store.createEvaluation({
      ...{ id, state: "queued", model: run, dataset: "sample" },
      created_at: new Date().toISOString(),
      job: { type: "evaluate", ...elsewhere, device: "auto", dtype: "fp32" },
    });
    await this.supervisor.evaluate((await store.getEvaluation(id))!);
    while (true) {
      const evaluation = (await store.getEvaluation(id))!;
      if (evaluation.state === "failed") throw new Error(evaluation.error);
      if (evaluation.state === "succeeded") {
        const dir = join(this.dir, id);
        await files.bringReport(evaluation.artifact!, dir);
        return JSON.parse(await Deno.readTextFile(join(dir, "report.json")));
      }
      await pause(200);
    }
  }

  /** Waits until all NATS nodes are there and up to date. */
  async allCurrent(): Promise<void> {
    const { cluster } = this.member;
    while (true) {
      const streams = await cluster.reach(() => cluster.manager.streams.list().next());
      const replicas = streams.flatMap(({ cluster }) => cluster?.replicas ?? []);
      if (replicas.every(({ current, offline }) => current && !offline)) return;
      await pause(500);
    }
  }

  /** The SHA-256 of the weights of a run that has succeeded. */
  async weightsOf(id: string): Promise<string> {
    const dir = await this.member.files.bringModel(id);
    const weights = await Deno.readFile(join(dir, "model.safetensors"));
    return createHash("sha256").update(weights).digest("hex");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.workers[Symbol.asyncDispose]();
    await this.member[Symbol.asyncDispose]();
    await this.nats[Symbol.asyncDispose]();
    await Deno.remove(this.dir, { recursive: true });
  }
}

/** A count that others can wait for. */
class Progress {
  #count = 0;
  #next = Promise.withResolvers<void>();

  add(): void {
    this.#count++;
    this.#next.resolve();
    this.#next = Promise.withResolvers();
  }

  /** Waits until the count is higher, or the signal aborts. */
  async more(count: number, signal: AbortSignal): Promise<void> {
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => resolve(), { once: true });
    const wanted = this.#count + count;
    while (this.#count < wanted && !signal.aborted) {
      await Promise.race([this.#next.promise, aborted]);
    }
  }
}

/** Trains while disturbed; each run must end once, with the bytes of the undisturbed first one. */
export async function disturbRuns(
  { runs, workers, maxSteps, leaseSeconds, log = () => {}, ...kills }: Disturbance,
): Promise<void> {
  await using cluster = await TestCluster.start({ leaseSeconds });
  const names = Array.from({ length: workers }, (_, i) => `worker-${i}`);
  const start = (name: string) =>
    cluster.workers.keep(
      name,
      [],
      (words) => log(`${name} ended: ${words.trim().split("\n").at(-1)}`),
    );
  start(names[0]!);
  const undisturbed = await cluster.submit("undisturbed", { max_steps: maxSteps });
  const first = await cluster.over(undisturbed);
  deepStrictEqual([first.state, first.error, first.attempt], ["succeeded", undefined, 1]);
  const expected = await cluster.weightsOf(undisturbed);
  for (const name of names.slice(1)) start(name);

  const ids: string[] = [];
  for (let i = 0; i < runs; i++) {
    ids.push(await cluster.submit(`run-${i}`, { max_steps: maxSteps }));
  }
  const random = new Random(11);
  const done = new AbortController();
  const progress = new Progress();
  const every = async (
    checkpoints: number | undefined,
    count: number | undefined,
    kill: () => Promise<void>,
  ) => {
    if (checkpoints === undefined) return;
    for (let i = 0; i < (count ?? Infinity); i++) {
      await progress.more(1 + random.integer(2 * checkpoints - 1), done.signal);
      // At any moment between two checkpoints.
      await pause(random.integer(1000), done.signal);
      if (done.signal.aborted) return;
      await kill();
    }
  };
  let workerKills = 0;
  let natsKills = 0;
  const disturbing = Promise.all([
    every(kills.checkpointsPerWorkerKill, kills.workerKills, async () => {
      const name = names[random.integer(names.length)]!;
      await cluster.workers.end(name);
      start(name);
      workerKills++;
      log(`killed ${name}`);
    }),
    every(kills.checkpointsPerNatsKill, kills.natsKills, async () => {
      const node = natsKills++ % 3;
      await cluster.nats.killNode(node);
      await pause(3000, done.signal);
      cluster.nats.startNode(node);
      log(`killed and started NATS node ${node}`);
      // Two of the three nodes must be up to date when the next is killed.
      await cluster.allCurrent();
    }),
  ]);
  const overs = await Promise.all(ids.map(async (id) => {
    const run = await cluster.over(id, () => progress.add());
    log(`${run.name} ${run.state} after ${run.attempt} attempts ${run.error ?? ""}`);
    return run;
  }));
  done.abort();
  await disturbing;
  for (const { id, name, state, error } of overs) {
    deepStrictEqual([name, state, error], [name, "succeeded", undefined]);
    deepStrictEqual(await cluster.weightsOf(id), expected);
    const events = await cluster.member.store.eventsSoFar(id, 0);
    deepStrictEqual(events.map(({ id }) => id), events.map((_, i) => i + 1));
    const ends = events.filter(({ event }) =>
      event.type === "state" && event.state === "succeeded"
    );
    deepStrictEqual(ends.length, 1);
  }
  const versions = cluster.member.models.all().map(({ name, versions }) => [name, versions.length]);
  deepStrictEqual(versions.length, runs + 1);
  ok(versions.every(([, count]) => count === 1));
  const attempts = overs.map(({ attempt }) => attempt);
  log(
    `${runs} runs on ${workers} workers: ${workerKills} workers and ${natsKills} NATS nodes killed, ` +
      `${attempts.reduce((a, b) => a + b)} attempts`,
  );
}

/** Waits for a time, or until the signal aborts. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal?.addEventListener("abort", () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
}
