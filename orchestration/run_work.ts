/**
 * Sees runs through to their end: attempt by attempt, each in a subprocess, and alone writes their
 * outcome into the store.
 *
 * @module
 */
import { basename } from "node:path";
import { messageOf } from "../lib/format.ts";
import type { HideFolders } from "../lib/hide_folders.ts";
import { camelCase, mapKeys } from "../lib/snake_case.ts";
import type { FinishEvent } from "../training/events.ts";
import { TrainSettings } from "../training/settings.ts";
import { Attempts } from "./attempts.ts";
import type { JobMessage, TrainJob } from "./job.ts";
import type { JobProcesses } from "./job_processes.ts";
import { retry } from "./retry.ts";
import type { RunFiles } from "./run_files.ts";
import { CheckpointStore, RunFollower } from "./run_follower.ts";
import {
  AttemptedRun,
  isOver,
  MAX_ERROR_LENGTH,
  type Run,
  type RunResult,
  type RunState,
  RunStateError,
  type RunStore,
} from "./run_store.ts";
import { isTuning, type TunedRun, TuningWork } from "./tuning_work.ts";

/** The number of deaths in a row without a new checkpoint after which a run fails. */
const MAX_DEATHS = 3;

/** Options of {@link RunWork}. */
export interface RunWorkOptions {
  store: RunStore;
  /** The folder in which the folders of runs are made. */
  runsDir: string;
  /** Returns the folder of a data set. */
  datasetDir: (name: string) => string;
  processes: JobProcesses;
  /** Carries the files of runs, where this process does not share its disk with all others. */
  files: RunFiles | undefined;
  /** Hides folders in errors that clients see. */
  hideFolders: HideFolders;
  /** Aborts when the server closes. */
  closing: AbortSignal;
}

/** The work on runs. */
export class RunWork {
  readonly #store: RunStore;
  readonly #files: RunFiles | undefined;
  readonly #tuning: TuningWork;
  readonly #options: RunWorkOptions;

  constructor(options: RunWorkOptions) {
    this.#store = options.store;
    this.#tuning = new TuningWork(options.store);
    this.#files = options.files;
    this.#options = options;
  }

  /** The folders of a run. */
  attempts(id: string): Attempts {
    return new Attempts(this.#options.runsDir, id);
  }

  /** Runs a claimed run, in whatever state an earlier claim left it; returns whether it is over. */
  async run(id: string): Promise<boolean> {
    const run = await this.#retry(() => this.#store.get(id));
    if (run === undefined || await this.isSettled(run)) return true;
    if (run.state !== "queued") await this.#retry(() => this.#store.setState(id, "queued"));
    return await this.#seeThrough(id);
  }

  /** Whether a run is over; finishes a run that only lacks its final state. */
  async isSettled(run: Run): Promise<boolean> {
    if (isOver(run)) return true;
    const own = new AttemptedRun(this.#store, run.id, run.attempt);
    if (run.cancelling) await this.#end(own, "cancelled");
    else if (await this.#isPublished(run)) await this.#succeed(own, run);
    else return false;
    return true;
  }

  async #isPublished(run: Run): Promise<boolean> {
    if (run.trial_of !== undefined) return run.result !== undefined;
    if (this.#files === undefined) return await this.attempts(run.id).isPublished();
    return run.artifacts?.model !== undefined;
  }

  /** Attempts a run until it is over or the server closes, and returns whether it is over. */
  async #seeThrough(id: string): Promise<boolean> {
    let run = await this.#start(id);
    if (isTuning(run) && !isOver(run)) run = await this.#tune(run);
    while (!isOver(run) && !this.#options.closing.aborted) {
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

  /**
   * Searches for the settings of a run, one trial after another, until it has them or is over, or
   * the server closes.
   */
  async #tune({ id, attempt: before }: TunedRun): Promise<Run> {
    // From now on a worker that had the run before can change nothing.
    const attempt = before + 1;
    let run = await this.#retry(() =>
      new AttemptedRun(this.#store, id, before).change({ attempt })
    );
    const own = new AttemptedRun(this.#store, id, attempt);
    try {
      while (isTuning(run) && !this.#options.closing.aborted) {
        if (run.cancelling) return await this.#end(own, "cancelled");
        const tuned = run;
        const trial = await this.#retry(() => this.#tuning.nextTrial(own, tuned));
        if (trial !== undefined) await this.#try(own, trial);
        run = await own.get();
      }
      return run;
    } catch (error) {
      if (error instanceof RunStateError) throw error;
      return await this.#fail(own, messageOf(error));
    }
  }

  /** Runs a trial to its end, or until the run for which it is made is cancelled. */
  async #try(own: AttemptedRun, trial: string): Promise<void> {
    const work = this.run(trial);
    const over = new AbortController();
    const watching = this.#watchTuned(own, trial, over.signal);
    await Promise.allSettled([work.finally(() => over.abort()), watching]);
    await watching;
    await work;
  }

  /** Cancels a trial with the run for which it is made, and kills it if another has that run. */
  async #watchTuned(own: AttemptedRun, trial: string, signal: AbortSignal): Promise<void> {
    try {
      for await (const run of this.#store.watch(own.id, signal)) {
        own.check(run);
        if (!run.cancelling) continue;
        await this.#store.change(trial, (trial) => isOver(trial) ? {} : { cancelling: true });
      }
    } catch (error) {
      this.#options.processes.get(trial)?.kill();
      throw error;
    }
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

  /** Trains in a subprocess until it ends, and writes the outcome of the attempt. */
  async #attempt(own: AttemptedRun, run: Run, resume: boolean): Promise<Run> {
    const { id, name, attempt, base, dataset } = run;
    const settings = TrainSettings.parse(mapKeys(run.settings, camelCase));
    if (run.cancelling) return await this.#end(own, "cancelled");
    const dir = this.attempts(id).dirOf(attempt);
    using inputs = await this.#files?.bringInputs(run);
    const job: TrainJob = {
      type: "train",
      settings: { ...settings, model: inputs?.base ?? base },
      dataDir: inputs?.dataDir ?? this.#options.datasetDir(dataset),
      outDir: dir,
      name,
      resume,
      isTrial: run.trial_of !== undefined,
    };
    const follower = new RunFollower(
      own,
      this.#files && new CheckpointStore(this.#files, run, dir),
    );
    const work = this.#options.processes.run(
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
    const process = this.#options.processes.get(own.id);
    try {
      for await (const run of this.#store.watch(own.id, signal)) {
        own.check(run);
        if (run.cancelling) process?.stop();
      }
    } catch (error) {
      process?.kill();
      throw error;
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
      const { trial_of } = await own.get();
      if (trial_of !== undefined) {
        return await this.#succeed(own, await this.#retry(() => own.change({ result })));
      }
      // The result is written first: a server that starts takes a finished model for the end of the
      // run.
      const artifacts = this.#files && await this.#storeModel(own, attempt);
      const run = await this.#retry(() => own.change({ result, ...artifacts && { artifacts } }));
      if (this.#files === undefined) await this.attempts(id).publish(attempt);
      return await this.#succeed(own, run);
    }
    if (error !== undefined) return await this.#fail(own, error);
    const run = await own.get();
    if (run.cancelling) return await this.#end(own, "cancelled");
    if (stopped || this.#options.closing.aborted) return run;
    const deaths = checkpointed ? 0 : run.deaths + 1;
    if (deaths < MAX_DEATHS) return await this.#retry(() => own.change({ deaths }));
    const death = `the training process ended ${deaths} times without a new checkpoint`;
    return await this.#fail(own, `${death}, the last time with ${reason}`);
  }

  /** Stores the model of an attempt, where it is served on other machines. */
  async #storeModel(own: AttemptedRun, attempt: number): Promise<NonNullable<Run["artifacts"]>> {
    const run = await own.get();
    const model = await this.#files!.storeModel(run, this.attempts(run.id).dirOf(attempt));
    return { ...run.artifacts, model };
  }

  async #succeed(own: AttemptedRun, run: Run): Promise<Run> {
    const { result, trial_of } = run;
    if (trial_of === undefined) await this.#files?.publish(run);
    if (result !== undefined) {
      await this.#retry(() => own.append({ type: "finish", ...result }));
    }
    const ended = await this.#end(own, "succeeded");
    if (run.artifacts?.checkpoint !== undefined) {
      await this.#files?.dropCheckpoint(run.artifacts.checkpoint);
    }
    // A model that is served from here has been moved away.
    await this.attempts(run.id).removeAttempts();
    return ended;
  }

  async #fail(own: AttemptedRun, error: string): Promise<Run> {
    return await this.#end(own, "failed", {
      error: this.#options.hideFolders(error).slice(0, MAX_ERROR_LENGTH),
    });
  }

  /**
   * A message as clients see it.
   *
   * @param model The model that the run was asked to train on.
   */
  #withoutFolders(message: JobMessage, model: string): JobMessage {
    switch (message.type) {
      case "start":
        return { ...message, model, notes: message.notes.map(this.#options.hideFolders) };
      case "checkpoint":
        return { ...message, dir: this.#options.hideFolders(message.dir) };
      default:
        return message;
    }
  }

  async #end(own: AttemptedRun, state: RunState, change: Partial<Run> = {}): Promise<Run> {
    return await this.#retry(() => own.setState(state, { ...ended(), ...change }));
  }

  async #retry<Result>(change: () => Promise<Result>): Promise<Result> {
    return await retry(change, this.#options.closing);
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

/** The fields of a run that is over. */
export function ended(): { finished_at: string; cancelling: false } {
  return { finished_at: now(), cancelling: false };
}
