/**
 * Runs queued training runs and evaluations, each in a subprocess, and alone writes their outcome
 * into the store.
 *
 * @module
 */
import { basename, dirname, join, resolve } from "node:path";
import { isDiskFull, writeJson } from "../lib/files.ts";
import { messageOf } from "../lib/format.ts";
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

/** The silence after which a subprocess counts as lost, until it is replaced or speaks. */
const LOST_AFTER_MS = 10_000;
/** The longest pause before a change of the state that found the disk full is tried again. */
const MAX_PAUSE_MS = 10_000;
/** The number of deaths in a row without a new checkpoint after which a run fails. */
const MAX_DEATHS = 3;
/** The time after which a subprocess that was told to stop is killed. */
const STOP_TIMEOUT_MS = 20_000;

/** Options of {@link Supervisor}. */
export interface SupervisorOptions {
  store: RunStore;
  /** The folder in which the folders of runs are made. */
  runsDir: string;
  /** Returns the folder of a data set. */
  datasetDir: (name: string) => string;
  /** The number of subprocesses that work at once; with 0, everything stays queued. */
  workers?: number;
  spawn?: SpawnWorker;
  /** The silence after which a subprocess is replaced. */
  heartbeatTimeoutMs?: number;
  /** Carries the files of runs, where this process does not share its disk with all others. */
  files?: RunFiles | undefined;
  /** The most runs and evaluations that may wait; 100 by default. */
  maxQueued?: number;
  /** Hides folders in errors that clients see; by default those of the runs and of the program. */
  hideFolders?: HideFolders;
}

/** The queue is full. */
export class QueueFullError extends Error {
  override name = "QueueFullError";

  constructor(maxQueued: number) {
    super(`${maxQueued} runs and evaluations wait already, and no more may`);
  }
}

/** Takes runs and evaluations from the queue, and runs them to their end. */
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
  /** The number of reserved places in the queue. */
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
    this.#working = Array.from({ length: workers }, () => this.#workLoop());
  }

  /** Whether the supervisor takes no more tasks. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Aborts once the supervisor has stopped everything for the server's end. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** The number of runs and evaluations that wait for a subprocess. */
  get queueLength(): number {
    return this.#store.queueLength;
  }

  /**
   * Reserves a place in the queue for a request while it is checked and queued, so that
   * simultaneous requests do not all take the last place.
   *
   * @returns The reservation, to be disposed of when the request has been queued or refused.
   * @throws {QueueFullError} If there is no free place.
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

  /** The file of an evaluation's report, which may be too large for a value of the store. */
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

  /** Makes sure that the files of an evaluation that has succeeded are on this machine. */
  async bringReport({ id, artifact }: Evaluation): Promise<void> {
    if (artifact === undefined) return;
    await this.#files?.bringReport(artifact, join(this.#reportsDir, id));
  }

  /** How long a run's subprocess has been silent, if that is long enough to count as lost. */
  lostForMs(id: string): number | undefined {
    const silentMs = this.#processes.get(id)?.silentMs ?? 0;
    return silentMs > LOST_AFTER_MS ? silentMs : undefined;
  }

  /** Resumes the tasks that a server left unfinished when it stopped or was killed. */
  async recover(): Promise<void> {
    const runs = (await this.#store.list()).filter((run) => !isOver(run)).reverse();
    for (const run of runs) {
      if (await this.#isSettled(run)) continue;
      if (run.state !== "queued") await this.#retry(() => this.#store.setState(run.id, "queued"));
      await this.#store.enqueue({ kind: "run", id: run.id });
    }
    for (const evaluation of (await this.#store.listEvaluations()).reverse()) {
      if (!isOver(evaluation)) await this.evaluate(evaluation);
    }
  }

  /**
   * Writes a run into the store and queues it.
   *
   * @param created The request that creates the run, if a repeated request must not create another.
   * @returns Whether it was created: it is not if a request with the same key came before.
   */
  async submit(run: Run, created?: IdempotentRequest): Promise<boolean> {
    if (!await this.#store.create(run, created)) return false;
    await this.#store.enqueue({ kind: "run", id: run.id });
    return true;
  }

  /**
   * Stops a run: at once if it is queued, within a step and with a checkpoint if it trains.
   *
   * @throws {RunStateError} If the run is over.
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
   * Queues a cancelled or failed run again; it goes on from its last checkpoint.
   *
   * @throws {RunStateError} If the run is in another state.
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
   * @throws {RunStateError} If the run is not over, or its model is needed: by an evaluation, or as
   * the base of a run that trains on it or is an adapter of it.
   */
  async delete(id: string): Promise<void> {
    const run = await this.#store.get(id);
    if (run === undefined) return;
    if (!isOver(run)) throw new RunStateError(`Cannot delete run '${id}': it is ${run.state}`);
    // The server may have been started in another folder when these paths were written.
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

  /** Queues an evaluation that is in the store. */
  async evaluate({ id }: Evaluation): Promise<void> {
    await this.#store.enqueue({ kind: "evaluation", id });
  }

  /** Stops all work, with checkpoints, and starts nothing more; all of it stays unfinished. */
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

  /** Runs one task after another. */
  async #workLoop(): Promise<void> {
    while (true) {
      const claim = await this.#store.claim(this.#claiming.signal);
      if (claim === undefined) return;
      await this.#do(claim).catch((error) => {
        // The task belongs to another attempt now, or the next server resumes it.
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
      const isDone = kind === "run" ? await this.#runClaimed(id) : await this.#evaluate(id);
      await (isDone ? claim.release() : claim.giveBack());
    } finally {
      clearInterval(timer);
    }
  }

  /** Runs a claimed run, in whatever state an earlier claim left it; returns whether it is over. */
  async #runClaimed(id: string): Promise<boolean> {
    const run = await this.#retry(() => this.#store.get(id));
    if (run === undefined || await this.#isSettled(run)) return true;
    if (run.state !== "queued") await this.#retry(() => this.#store.setState(id, "queued"));
    return await this.#seeThrough(id);
  }

  /** Whether a run is over; finishes a run that only lacks its final state. */
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

  /** Attempts a run until it is over or the server closes, and returns whether it is over. */
  async #seeThrough(id: string): Promise<boolean> {
    let run = await this.#start(id);
    while (!isOver(run) && !this.#closed) {
      let own = new AttemptedRun(this.#store, id, run.attempt);
      try {
        const attempt = run.attempt + 1;
        const resume = this.#files === undefined
          ? await this.attempts(id).prepare(attempt)
          : await this.#files.bringCheckpoint(run, this.attempts(id).dirOf(attempt));
        run = await this.#retry(() => own.change({ attempt }));
        own = new AttemptedRun(this.#store, id, attempt);
        run = await this.#attempt(own, run, resume);
      } catch (error) {
        if (error instanceof RunStateError) throw error;
        run = await this.#fail(own, messageOf(error));
      }
    }
    if (isOver(run)) return true;
    await new AttemptedRun(this.#store, id, run.attempt).setState("queued");
    return false;
  }

  /** Starts a queued run; returns it unchanged if it was cancelled before. */
  async #start(id: string): Promise<Run> {
    try {
      return await this.#retry(() =>
        this.#store.setState(id, "running", { started_at: now() }, ["queued"])
      );
    } catch (error) {
      const run = error instanceof RunStateError ? await this.#store.get(id) : undefined;
      if (run === undefined || !isOver(run)) throw error;
      return run;
    }
  }

  /**
   * Runs an operation of the store, and retries it while the disk is full or the store does not
   * answer, so that the outcome of a run is not lost.
   */
  async #retry<Result>(change: () => Promise<Result>): Promise<Result> {
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

  /** Waits for a time, or until the server closes. */
  async #pause(ms: number): Promise<void> {
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    await Promise.race([over, this.#closes.promise]);
    clearTimeout(timer);
  }

  /** Trains in a subprocess until it ends, and writes the outcome of the attempt. */
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
    return await this.#finish(own, attempt, follower, await work);
  }

  /** Stops an attempt when it is cancelled, and kills it when another has begun. */
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

  /** Runs a job in a subprocess, and returns the reason for its end. */
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

  async #finish(
    own: AttemptedRun,
    attempt: number,
    { finish, stopped, error, checkpointed }: RunFollower,
    reason: string,
  ): Promise<Run> {
    const { id } = own;
    if (finish !== undefined) {
      const result = { ...runResult(finish), model_dir: basename(this.attempts(id).modelDir) };
      // The result is written first: a server that starts takes a finished model for the end of the
      // run.
      const artifacts = this.#files && await this.#storeModel(id, attempt);
      const run = await this.#retry(() => own.change({ result, ...artifacts && { artifacts } }));
      if (this.#files === undefined) await this.attempts(id).publish(attempt);
      return await this.#succeed(own, run);
    }
    if (error !== undefined) return await this.#fail(own, error);
    const run = (await this.#store.get(id))!;
    if (run.cancelling) return await this.#end(own, "cancelled");
    if (stopped || this.#closed) return run;
    const deaths = checkpointed ? 0 : run.deaths + 1;
    if (deaths < MAX_DEATHS) return await this.#retry(() => own.change({ deaths }));
    const death = `the training process ended ${deaths} times without a new checkpoint`;
    return await this.#fail(own, `${death}, the last time with ${reason}`);
  }

  /** Stores the model of an attempt, where it is served on other machines. */
  async #storeModel(id: string, attempt: number): Promise<NonNullable<Run["artifacts"]>> {
    const run = (await this.#store.get(id))!;
    const model = await this.#files!.storeModel(run, this.attempts(id).dirOf(attempt));
    return { ...run.artifacts, model };
  }

  async #succeed(own: AttemptedRun, run: Run): Promise<Run> {
    const { result } = run;
    await this.#files?.publish(run);
    if (result !== undefined) {
      await this.#retry(() => own.append({ type: "finish", ...result }));
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
   * A message as clients see it.
   *
   * @param model The model that the run was asked to train on.
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
    return await this.#retry(() => own.setState(state, { ...ended(), ...change }));
  }

  /** Runs a claimed evaluation, unless the server closes, and returns whether it is over. */
  async #evaluate(id: string): Promise<boolean> {
    const claimed = await this.#retry(() => this.#store.getEvaluation(id));
    if (claimed === undefined || isOver(claimed)) return true;
    const attempt = (claimed.attempt ?? 0) + 1;
    const change = (fields: Partial<Evaluation>, expected: number) =>
      this.#retry(() =>
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
