/**
 * Sees queued runs and evaluations through, each in a subprocess. What happens to one is written
 * into the store, here and nowhere else.
 *
 * @module
 */
import { basename, dirname, join, resolve } from "node:path";
import { isDiskFull, writeJson } from "../lib/files.ts";
import { folderHider, type HideFolders } from "../lib/own_folders.ts";
import { Attempts } from "./attempts.ts";
import type { FinishEvent } from "../training/events.ts";
import type { Job, JobMessage, TrainJob } from "./job.ts";
import type { RunFiles } from "./run_files.ts";
import { CheckpointStore, RunFollower } from "./run_follower.ts";
import { JobProcess, type SpawnWorker, spawnWorker } from "./job_process.ts";
import {
  AttemptedRun,
  AttemptReplacedError,
  type Claim,
  type Evaluation,
  type IdempotentRequest,
  isOver,
  MAX_ERROR_LENGTH,
  type Run,
  type RunResult,
  type RunState,
  RunStateError,
  type RunStore,
} from "./run_store.ts";
import { baseNameOf, isAdapter } from "../models/formats/adapter.ts";
import { needsBase } from "../models/tuners/tuner.ts";
import { StoreTimeoutError } from "./store.ts";
import { TrainSettings } from "../training/settings.ts";
import { camelCase, mapKeys } from "../lib/snake_case.ts";

/** A subprocess that was silent for so long counts as lost, until it is replaced or speaks. */
const LOST_AFTER_MS = 10_000;
/** A change of the state for which there is no room is tried again at least so often. */
const MAX_PAUSE_MS = 10_000;
/** A run that dies so often without a new checkpoint would die again. */
const MAX_DEATHS = 3;
/** A subprocess that was told to stop is ended after so long. */
const STOP_TIMEOUT_MS = 20_000;

/** What {@link Supervisor} needs. */
export interface SupervisorOptions {
  store: RunStore;
  /** Where the folders of runs are made. */
  runsDir: string;
  /** The folder of a data set by its name. */
  datasetDir: (name: string) => string;
  /** How many subprocesses work at once; without any, all stays queued. */
  workers?: number;
  spawn?: SpawnWorker;
  /** A subprocess that is silent for so long is replaced. */
  heartbeatTimeoutMs?: number;
  /** Where files come from and go to, where this process does not share its disk with all others. */
  files?: RunFiles | undefined;
  /** So many runs and evaluations may wait; 100 by default. */
  maxQueued?: number;
  /** Keeps folders from those who see what has failed; by default those of runs and of the program. */
  hideFolders?: HideFolders;
}

/** As much waits as may. */
export class QueueFullError extends Error {
  override name = "QueueFullError";

  constructor(maxQueued: number) {
    super(`${maxQueued} runs and evaluations wait already, and no more may`);
  }
}

/** Takes runs and evaluations from the queue and sees them through. */
export class Supervisor implements AsyncDisposable {
  readonly #store: RunStore;
  readonly #runsDir: string;
  readonly #datasetDir: (name: string) => string;
  readonly #spawn: SpawnWorker;
  readonly #heartbeatTimeoutMs: number;
  readonly #reportsDir: string;
  readonly #files: RunFiles | undefined;
  readonly #maxQueued: number;
  readonly #hideFolders: HideFolders;
  /** Places that are kept. */
  #reserved = 0;
  readonly #working: Promise<void>[];
  readonly #processes = new Map<string, JobProcess>();
  #closed = false;
  readonly #closes = Promise.withResolvers<void>();
  readonly #claiming = new AbortController();
  readonly #closing = new AbortController();

  constructor(options: SupervisorOptions) {
    const { store, runsDir, datasetDir, workers = 1, spawn = spawnWorker } = options;
    const { heartbeatTimeoutMs = 120_000, files, maxQueued = 100 } = options;
    this.#store = store;
    this.#runsDir = runsDir;
    this.#datasetDir = datasetDir;
    this.#spawn = spawn;
    this.#heartbeatTimeoutMs = heartbeatTimeoutMs;
    this.#reportsDir = join(runsDir, "evaluations");
    this.#files = files;
    this.#maxQueued = maxQueued;
    this.#hideFolders = options.hideFolders ?? folderHider([runsDir]);
    this.#working = Array.from({ length: workers }, () => this.#workOff());
  }

  /** Whether nothing is taken any more. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Aborts when all has come to its end because the server does. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** How many runs and evaluations wait for a subprocess. */
  get queueLength(): number {
    return this.#store.queueLength;
  }

  /**
   * Keeps a place in the queue until what is to take it has been checked and taken it, so that
   * those that come at the same moment do not all see the last one free.
   *
   * @returns To be disposed of then.
   * @throws {QueueFullError} If there is none.
   */
  reserve(): Disposable {
    if (this.queueLength + this.#reserved >= this.#maxQueued) {
      throw new QueueFullError(this.#maxQueued);
    }
    this.#reserved++;
    return { [Symbol.dispose]: () => void this.#reserved-- };
  }

  /** The folders of a run. */
  attempts(id: string): Attempts {
    return new Attempts(this.#runsDir, id);
  }

  /** The file of an evaluation's report: a value of the store would be too small for many classes. */
  reportFile(id: string): string {
    return this.#files === undefined
      ? join(this.#reportsDir, `${id}.json`)
      : join(this.#reportsDir, id, "report.json");
  }

  /** The file of an evaluation's predictions. */
  rowsFile(id: string): string {
    return this.#files === undefined
      ? join(this.#reportsDir, `${id}.rows.jsonl`)
      : join(this.#reportsDir, id, "rows.jsonl");
  }

  /** Sees to it that the files of an evaluation that has succeeded are here. */
  async bringReport({ id, artifact }: Evaluation): Promise<void> {
    if (artifact === undefined) return;
    await this.#files?.bringReport(artifact, join(this.#reportsDir, id));
  }

  /** How long a run's subprocess has been silent, if it is so long that it counts as lost. */
  lostForMs(id: string): number | undefined {
    const silentMs = this.#processes.get(id)?.silentMs ?? 0;
    return silentMs > LOST_AFTER_MS ? silentMs : undefined;
  }

  /** Takes up what a server that stopped, or was killed, has left unfinished. */
  async recover(): Promise<void> {
    const runs = (await this.#store.list()).filter((run) => !isOver(run)).reverse();
    for (const run of runs) {
      if (await this.#isSettled(run)) continue;
      if (run.state !== "queued") await this.#made(() => this.#store.setState(run.id, "queued"));
      await this.#store.enqueue({ kind: "run", id: run.id });
    }
    for (const evaluation of (await this.#store.listEvaluations()).reverse()) {
      if (!isOver(evaluation)) await this.evaluate(evaluation);
    }
  }

  /**
   * Writes a run into the store and queues it.
   *
   * @param created The request that creates it, if the same request is not to create another.
   * @returns Whether it did: it does not where a request of the same key has come before it.
   */
  async submit(run: Run, created?: IdempotentRequest): Promise<boolean> {
    if (!await this.#store.create(run, created)) return false;
    await this.#store.enqueue({ kind: "run", id: run.id });
    return true;
  }

  /**
   * Stops a run: at once where it is queued, within a step and with a checkpoint where it trains.
   *
   * @throws {RunStateError} If it is over.
   */
  async cancel(id: string): Promise<Run> {
    const run = await this.#store.change(id, (run) => {
      if (isOver(run)) throw new RunStateError(`Cannot cancel run '${id}': it is ${run.state}`);
      return { cancelling: true };
    });
    if (run.state === "queued") {
      try {
        const cancelled = await this.#store.setState(id, "cancelled", ended(), ["queued"]);
        await this.#store.withdraw(id);
        return cancelled;
      } catch (error) {
        // A worker was faster.
        if (!(error instanceof RunStateError)) throw error;
      }
    }
    this.#processes.get(id)?.stop();
    return run;
  }

  /**
   * Queues a run again that was cancelled or has failed; it goes on from its last checkpoint.
   *
   * @throws {RunStateError} If it is in another state.
   */
  async resume(id: string): Promise<Run> {
    const change = { deaths: 0, cancelling: false, error: undefined, finished_at: undefined };
    const run = await this.#store.setState(id, "queued", change, ["cancelled", "failed"]);
    await this.#store.enqueue({ kind: "run", id });
    return run;
  }

  /**
   * Removes a run that is over, with its files.
   *
   * @throws {RunStateError} If it is not over, or its model is needed: to be evaluated, or as the
   * base of a run that trains on it or is an adapter of it.
   */
  async delete(id: string): Promise<void> {
    const run = await this.#store.get(id);
    if (run === undefined) return;
    if (!isOver(run)) throw new RunStateError(`Cannot delete run '${id}': it is ${run.state}`);
    // A server may have been started in another folder when they were written down.
    const modelDir = resolve(this.attempts(id).modelDir);
    const needing = (await this.#store.list()).find((other) =>
      resolve(other.base) === modelDir &&
      (needsBase(String(other.settings["mode"])) || !isOver(other))
    );
    const evaluation = (await this.#store.listEvaluations()).find((other) =>
      resolve(other.job.modelDir) === modelDir && !isOver(other)
    );
    if (needing !== undefined || evaluation !== undefined) {
      const user = needing === undefined ? `evaluation '${evaluation!.id}'` : `run '${needing.id}'`;
      throw new RunStateError(`Cannot delete run '${id}': ${user} needs its model`);
    }
    await this.attempts(id).remove();
    await this.#files?.remove(run);
    await this.#store.delete(id);
  }

  /** Queues an evaluation, which is in the store. */
  async evaluate({ id }: Evaluation): Promise<void> {
    await this.#store.enqueue({ kind: "evaluation", id });
  }

  /** Stops what runs, with checkpoints, and starts nothing more; all of it stays unfinished. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#claiming.abort();
    this.#closes.resolve();
    for (const process of this.#processes.values()) process.stop();
    const end = () => this.#processes.values().forEach((process) => process.kill());
    const timer = setTimeout(end, STOP_TIMEOUT_MS);
    await Promise.allSettled(this.#working);
    clearTimeout(timer);
    this.#closing.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Does one task after the other. */
  async #workOff(): Promise<void> {
    while (true) {
      const claim = await this.#store.claim(this.#claiming.signal);
      if (claim === undefined) return;
      await this.#do(claim).catch((error) => {
        // It counts for another, or the next server takes it up.
        if (error instanceof AttemptReplacedError) console.error(error.message);
        else console.error(error);
      });
    }
  }

  async #do(claim: Claim): Promise<void> {
    const { kind, id, leaseMs } = claim;
    const keepAlive = () =>
      claim.keepAlive().catch((error) => console.error(`Cannot keep '${id}': ${error.message}`));
    const timer = leaseMs === undefined ? undefined : setInterval(keepAlive, leaseMs / 3);
    try {
      const isDone = kind === "run" ? await this.#take(id) : await this.#evaluate(id);
      await (isDone ? claim.release() : claim.giveBack());
    } finally {
      clearInterval(timer);
    }
  }

  /** Sees a run through that was claimed, however an earlier claim has left it; whether it is over. */
  async #take(id: string): Promise<boolean> {
    const run = await this.#made(() => this.#store.get(id));
    if (run === undefined || await this.#isSettled(run)) return true;
    if (run.state !== "queued") await this.#made(() => this.#store.setState(id, "queued"));
    return await this.#seeThrough(id);
  }

  /** Whether a run is over, or was to be and only has to be told so. */
  async #isSettled(run: Run): Promise<boolean> {
    if (isOver(run)) return true;
    const own = new AttemptedRun(this.#store, run.id, run.attempt);
    if (run.cancelling) await this.#end(own, "cancelled");
    else if (await this.#isPublished(run)) await this.#succeed(own, run);
    else return false;
    return true;
  }

  async #isPublished(run: Run): Promise<boolean> {
    if (this.#files === undefined) return await this.attempts(run.id).isPublished();
    return run.artifacts?.model !== undefined;
  }

  /** Attempts a run until it is over or the server closes; whether it is over. */
  async #seeThrough(id: string): Promise<boolean> {
    let run = await this.#begun(id);
    while (!isOver(run) && !this.#closed) {
      let own = new AttemptedRun(this.#store, id, run.attempt);
      try {
        const attempt = run.attempt + 1;
        const resume = this.#files === undefined
          ? await this.attempts(id).prepare(attempt)
          : await this.#files.bringCheckpoint(run, this.attempts(id).dirOf(attempt));
        run = await this.#made(() => own.change({ attempt }));
        own = new AttemptedRun(this.#store, id, attempt);
        run = await this.#attempt(own, run, resume);
      } catch (error) {
        if (error instanceof RunStateError) throw error;
        run = await this.#fail(own, error instanceof Error ? error.message : String(error));
      }
    }
    if (isOver(run)) return true;
    await new AttemptedRun(this.#store, id, run.attempt).setState("queued");
    return false;
  }

  /** A queued run that begins, or one that was cancelled before. */
  async #begun(id: string): Promise<Run> {
    try {
      return await this.#made(() =>
        this.#store.setState(id, "running", { started_at: now() }, ["queued"])
      );
    } catch (error) {
      const run = error instanceof RunStateError ? await this.#store.get(id) : undefined;
      if (run === undefined || !isOver(run)) throw error;
      return run;
    }
  }

  /**
   * Makes a change of the state, and tries again where there is no room for it: what has become of
   * a run is not to be forgotten for that.
   */
  async #made<Result>(change: () => Promise<Result>): Promise<Result> {
    for (let pauseMs = 500;; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      try {
        return await change();
      } catch (error) {
        const mayPass = isDiskFull(error) || error instanceof StoreTimeoutError;
        if (!mayPass || this.#closed) throw error;
        console.error(`${(error as Error).message}; it is tried again in ${pauseMs / 1000} s`);
      }
      await this.#pause(pauseMs);
    }
  }

  /** Waits, but not for longer than the server lives. */
  async #pause(ms: number): Promise<void> {
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    await Promise.race([over, this.#closes.promise]);
    clearTimeout(timer);
  }

  /** Trains in a subprocess until that ends, and says what became of the run. */
  async #attempt(own: AttemptedRun, run: Run, resume: boolean): Promise<Run> {
    const { id, name, attempt, base, dataset } = run;
    const settings = TrainSettings.parse(mapKeys(run.settings, camelCase));
    if (run.cancelling) return await this.#end(own, "cancelled");
    const dir = this.attempts(id).dirOf(attempt);
    const inputs = await this.#files?.bringInputs(run);
    const job: TrainJob = {
      type: "train",
      settings: { ...settings, model: inputs?.base ?? base },
      dataDir: inputs?.dataDir ?? this.#datasetDir(dataset),
      outDir: dir,
      name,
      resume,
    };
    const follower = new RunFollower(
      own,
      this.#files && new CheckpointStore(this.#files, run, dir),
    );
    const work = this.#work(
      id,
      job,
      (message) => follower.take(this.#withoutFolders(message, settings.model)),
    );
    const over = new AbortController();
    const watching = this.#watch(own, over.signal);
    await Promise.allSettled([work.finally(() => over.abort()), watching]);
    await watching;
    return await this.#conclude(own, attempt, follower, await work);
  }

  /** Stops an attempt where it is to be cancelled, and ends it where another has begun. */
  async #watch(own: AttemptedRun, signal: AbortSignal): Promise<void> {
    const process = this.#processes.get(own.id);
    try {
      for await (const run of this.#store.watch(own.id, signal)) {
        if (run !== undefined) own.check(run);
        if (run?.cancelling) process?.stop();
      }
    } catch (error) {
      process?.kill();
      throw error;
    }
  }

  /** Has a job done in a subprocess; gives the reason for its end. */
  async #work(
    id: string,
    job: Job,
    onMessage: (message: JobMessage) => Promise<void>,
  ): Promise<string> {
    const process = new JobProcess(this.#spawn, job, onMessage, this.#heartbeatTimeoutMs);
    this.#processes.set(id, process);
    if (this.#closed) process.stop();
    try {
      return await process.end;
    } finally {
      this.#processes.delete(id);
    }
  }

  async #conclude(
    own: AttemptedRun,
    attempt: number,
    { finish, stopped, error, checkpointed }: RunFollower,
    reason: string,
  ): Promise<Run> {
    const { id } = own;
    if (finish !== undefined) {
      const result = { ...runResult(finish), model_dir: basename(this.attempts(id).modelDir) };
      // First, as a server that starts takes a model that is there for the end of the run.
      const artifacts = this.#files && await this.#storeModel(id, attempt);
      const run = await this.#made(() => own.change({ result, ...artifacts && { artifacts } }));
      if (this.#files === undefined) await this.attempts(id).publish(attempt);
      return await this.#succeed(own, run);
    }
    if (error !== undefined) return await this.#fail(own, error);
    const run = (await this.#store.get(id))!;
    if (run.cancelling) return await this.#end(own, "cancelled");
    if (stopped || this.#closed) return run;
    const deaths = checkpointed ? 0 : run.deaths + 1;
    if (deaths < MAX_DEATHS) return await this.#made(() => own.change({ deaths }));
    const death = `the training process ended ${deaths} times without a new checkpoint`;
    return await this.#fail(own, `${death}, the last time with ${reason}`);
  }

  /** Stores what an attempt has trained, where it is to be served elsewhere. */
  async #storeModel(id: string, attempt: number): Promise<NonNullable<Run["artifacts"]>> {
    const run = (await this.#store.get(id))!;
    const model = await this.#files!.storeModel(run, this.attempts(id).dirOf(attempt));
    return { ...run.artifacts, model };
  }

  async #succeed(own: AttemptedRun, run: Run): Promise<Run> {
    const { result } = run;
    await this.#files?.publish(run);
    if (result !== undefined) {
      await this.#made(() => own.append({ type: "finish", ...result }));
    }
    const ended = await this.#end(own, "succeeded");
    if (this.#files !== undefined) {
      if (run.artifacts?.checkpoint !== undefined) {
        await this.#files.dropCheckpoint(run.artifacts.checkpoint);
      }
      await this.attempts(run.id).removeAttempts();
    }
    return ended;
  }

  async #fail(own: AttemptedRun, error: string): Promise<Run> {
    return await this.#end(own, "failed", { error: this.#shown(error) });
  }

  /**
   * An event as clients see it.
   *
   * @param model What the run was asked to train on.
   */
  #withoutFolders(message: JobMessage, model: string): JobMessage {
    switch (message.type) {
      case "start":
        return { ...message, model, notes: message.notes.map(this.#hideFolders) };
      case "checkpoint":
        return { ...message, dir: this.#hideFolders(message.dir) };
      default:
        return message;
    }
  }

  /** An error as clients see it. */
  #shown(error: string): string {
    return this.#hideFolders(error).slice(0, MAX_ERROR_LENGTH);
  }

  async #end(own: AttemptedRun, state: RunState, change: Partial<Run> = {}): Promise<Run> {
    return await this.#made(() => own.setState(state, { ...ended(), ...change }));
  }

  /** Makes an evaluation that was claimed, unless the server closes; whether it is over. */
  async #evaluate(id: string): Promise<boolean> {
    const claimed = await this.#made(() => this.#store.getEvaluation(id));
    if (claimed === undefined || isOver(claimed)) return true;
    const attempt = (claimed.attempt ?? 0) + 1;
    const change = (fields: Partial<Evaluation>, expected: number) =>
      this.#made(() =>
        this.#store.updateEvaluation(id, ({ attempt = 0 }) => {
          if (attempt === expected) return fields;
          throw new AttemptReplacedError(`Cannot change evaluation '${id}': another has taken it`);
        })
      );
    const { job: asked } = await change({ state: "running", attempt }, attempt - 1);
    let failure: string | undefined;
    let report: object | undefined;
    const reportDir = dirname(this.reportFile(id));
    await Deno.mkdir(reportDir, { recursive: true });
    const work = async (onMessage: (message: JobMessage) => Promise<void>) => {
      const inputs = await this.#files?.bringEvaluated(claimed);
      const { modelDir } = { ...asked, ...inputs };
      const base = await isAdapter(modelDir) ? await baseNameOf(modelDir) : undefined;
      const rowsFile = this.rowsFile(id);
      const job = { ...asked, ...inputs, ...base !== undefined && { base }, rowsFile };
      return await this.#work(id, job, onMessage);
    };
    const reason = await work(async (message) => {
      if (message.type === "error") failure = message.message;
      if (message.type !== "report") return;
      ({ report } = message);
      await writeJson(this.reportFile(id), report);
    }).catch((error) => String(error));
    if (report === undefined && this.#closed) return false;
    const error = failure ?? `the process ended with ${reason}`;
    const artifact = report && await this.#files?.storeReport(claimed, reportDir);
    await change({
      finished_at: now(),
      ...artifact !== undefined && { artifact },
      ...report === undefined
        ? { state: "failed", error: this.#shown(error) }
        : { state: "succeeded" },
    }, attempt);
    return true;
  }
}

function runResult({ type: _, metrics, ...result }: FinishEvent): RunResult {
  const summary = Object.entries(metrics)
    .filter(([key]) => key !== "per_class" && key !== "confusion_matrix");
  return { ...result, metrics: Object.fromEntries(summary) as unknown as RunResult["metrics"] };
}

function now(): string {
  return new Date().toISOString();
}

function ended(): { finished_at: string; cancelling: false } {
  return { finished_at: now(), cancelling: false };
}
