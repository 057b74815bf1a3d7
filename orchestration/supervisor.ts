/**
 * Runs queued training runs and evaluations, each in a subprocess, and alone writes their outcome
 * into the store.
 *
 * @module
 */
import { resolve } from "node:path";
import { folderHider, type HideFolders } from "../lib/hide_folders.ts";
import { needsBase } from "../models/tuners/tuner.ts";
import type { Attempts } from "./attempts.ts";
import { EvaluationWork } from "./evaluation_work.ts";
import { type SpawnWorker, spawnWorker } from "./job_process.ts";
import { JobProcesses } from "./job_processes.ts";
import { retry } from "./retry.ts";
import type { RunFiles } from "./run_files.ts";
import {
  AttemptReplacedError,
  type Claim,
  type Evaluation,
  type IdempotentRequest,
  isOver,
  type Run,
  RunStateError,
  type RunStore,
} from "./run_store.ts";
import { ended, RunWork } from "./run_work.ts";
import { isTuning, TuningWork } from "./tuning_work.ts";

/** The silence after which a subprocess counts as lost, until it is replaced or speaks. */
const LOST_AFTER_MS = 10_000;
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
  heartbeatTimeoutMs?: number | undefined;
  /** Carries the files of runs, where this process does not share its disk with all others. */
  files?: RunFiles | undefined;
  /** Called when a task belongs to another worker by now; by default the reason is logged. */
  onReplaced?: (reason: AttemptReplacedError) => void;
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
  readonly #files: RunFiles | undefined;
  readonly #maxQueued: number;
  readonly #onReplaced: (reason: AttemptReplacedError) => void;
  readonly #processes: JobProcesses;
  readonly #runs: RunWork;
  readonly #evaluations: EvaluationWork;
  readonly #tuning: TuningWork;
  /** The number of reserved places in the queue. */
  #reserved = 0;
  readonly #working: Promise<void>[];
  readonly #stopping = new AbortController();
  readonly #closing = new AbortController();

  constructor(options: SupervisorOptions) {
    const { store, runsDir, datasetDir, workers = 1, spawn = spawnWorker } = options;
    const { heartbeatTimeoutMs = 120_000, files, maxQueued = 100 } = options;
    this.#store = store;
    this.#files = files;
    this.#maxQueued = maxQueued;
    this.#onReplaced = options.onReplaced ?? (({ message }) => console.error(message));
    this.#processes = new JobProcesses(spawn, heartbeatTimeoutMs);
    const shared = {
      store,
      runsDir,
      processes: this.#processes,
      files,
      hideFolders: options.hideFolders ?? folderHider([runsDir]),
      closing: this.#stopping.signal,
    };
    this.#runs = new RunWork({ ...shared, datasetDir });
    this.#evaluations = new EvaluationWork(shared);
    this.#tuning = new TuningWork(store);
    this.#working = Array.from({ length: workers }, () => this.#workLoop());
  }

  /** Whether the supervisor takes no more tasks. */
  get closed(): boolean {
    return this.#stopping.signal.aborted;
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
    return this.#runs.attempts(id);
  }

  /** See {@link EvaluationWork.reportFile}. */
  reportFile(id: string): string {
    return this.#evaluations.reportFile(id);
  }

  /** See {@link EvaluationWork.rowsFile}. */
  rowsFile(id: string): string {
    return this.#evaluations.rowsFile(id);
  }

  /** See {@link EvaluationWork.bringReport}. */
  async bringReport(evaluation: Evaluation): Promise<void> {
    await this.#evaluations.bringReport(evaluation);
  }

  /** How long a run's subprocess has been silent, if that is long enough to count as lost. */
  lostForMs(id: string): number | undefined {
    const silentMs = this.#processes.get(id)?.silentMs ?? 0;
    return silentMs > LOST_AFTER_MS ? silentMs : undefined;
  }

  /** Resumes the tasks that a server left unfinished when it stopped or was killed. */
  async recover(): Promise<void> {
    // Trials go on with the runs for which they are made.
    const runs = (await this.#store.list())
      .filter((run) => !isOver(run) && run.trial_of === undefined).reverse();
    for (const run of runs) {
      if (await this.#runs.isSettled(run)) continue;
      if (run.state !== "queued") {
        await retry(() => this.#store.setState(run.id, "queued"), this.#stopping.signal);
      }
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
        for (const trial of await this.#tuning.trialsOf(run)) {
          if (!isOver(trial)) await this.#store.setState(trial.id, "cancelled", ended());
        }
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
   * Queues a cancelled or failed run again; it goes on from its last checkpoint, and its search for
   * settings with the trials that were stopped or failed.
   *
   * @throws {RunStateError} If the run is in another state, or a trial.
   */
  async resume(id: string): Promise<Run> {
    const change = { deaths: 0, cancelling: false, error: undefined, finished_at: undefined };
    const stopped = await this.#store.get(id);
    if (stopped?.trial_of !== undefined) {
      const reason = `it is a trial of run '${stopped.trial_of}', which can be resumed`;
      throw new RunStateError(`Cannot resume run '${id}': ${reason}`);
    }
    if (stopped !== undefined && isOver(stopped) && isTuning(stopped)) {
      for (const trial of await this.#tuning.trialsOf(stopped)) {
        if (trial.state === "succeeded") continue;
        await this.#store.setState(trial.id, "queued", change, [trial.state]);
      }
    }
    const run = await this.#store.setState(id, "queued", change, ["cancelled", "failed"]);
    await this.#store.enqueue({ kind: "run", id });
    return run;
  }

  /**
   * Removes a run that is over, with its files and its trials.
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
    for (const part of [...await this.#tuning.trialsOf(run), run]) {
      await this.attempts(part.id).remove();
      await this.#files?.remove(part);
      await this.#store.delete(part.id);
    }
  }

  /** Queues an evaluation that is in the store. */
  async evaluate({ id }: Evaluation): Promise<void> {
    await this.#store.enqueue({ kind: "evaluation", id });
  }

  /** Stops all work, with checkpoints, and starts nothing more; all of it stays unfinished. */
  async close(): Promise<void> {
    this.#stopping.abort();
    this.#processes.stop();
    const timer = setTimeout(() => this.#processes.kill(), STOP_TIMEOUT_MS);
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
      const claim = await this.#store.claim(this.#stopping.signal);
      if (claim === undefined) return;
      await this.#do(claim).catch((error) => {
        if (error instanceof AttemptReplacedError) this.#onReplaced(error);
        // It was claimed twice, and another has ended it.
        else if (error instanceof RunStateError) console.error(error.message);
        // The next server resumes it.
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
      const isDone = kind === "run" ? await this.#runs.run(id) : await this.#evaluations.run(id);
      await (isDone ? claim.release() : claim.giveBack());
    } finally {
      clearInterval(timer);
    }
  }
}
