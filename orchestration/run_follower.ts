/**
 * Follows the subprocess of a run: writes its reports into the store, and stores its checkpoints
 * where the run can be resumed from them.
 *
 * @module
 */
import { isDiskFull } from "../lib/files.ts";
import type { CheckpointEvent, FinishEvent, TrainEvent } from "../training/events.ts";
import type { JobMessage } from "./job.ts";
import type { RunFiles } from "./run_files.ts";
import type { AttemptedRun, Run, RunEvent, RunProgress } from "./run_store.ts";

/**
 * The shortest time between the steps and download events of a run's stream; those that come sooner
 * are left out. It grows with the run, so that a run of days can still be read in a moment.
 *
 * @param elapsedMs The time since the attempt began.
 */
export function eventIntervalMs(elapsedMs: number): number {
  return Math.max(250, elapsedMs / 5000);
}

/** Stores the checkpoints of an attempt that may be resumed elsewhere. */
export class CheckpointStore {
  readonly #files: RunFiles;
  readonly #run: Run;
  readonly #dir: string;
  #last: string | undefined;

  constructor(files: RunFiles, run: Run, dir: string) {
    this.#files = files;
    this.#run = run;
    this.#dir = dir;
    this.#last = run.artifacts?.checkpoint;
  }

  /** Stores the last checkpoint; `commit` makes it the run's, and its predecessor is deleted. */
  async store(commit: (artifacts: Partial<Run>) => Promise<void>): Promise<void> {
    const last = this.#last;
    const run = { ...this.#run, artifacts: { checkpoint: last } };
    const checkpoint = await this.#files.storeCheckpoint(run, this.#dir);
    if (checkpoint === undefined) return await commit({});
    await commit({ artifacts: { checkpoint } });
    this.#last = checkpoint;
    if (last !== undefined) await this.#files.dropCheckpoint(last, checkpoint);
  }
}

/** Writes the messages of a run's subprocess into the store. */
export class RunFollower {
  readonly #run: AttemptedRun;
  readonly #checkpoints: CheckpointStore | undefined;
  readonly #startedAt = performance.now();
  #lastAt = -Infinity;
  #progress: RunProgress | undefined;
  finish: FinishEvent | undefined;
  stopped = false;
  error: string | undefined;
  /** Whether there has been a checkpoint. */
  checkpointed = false;

  constructor(run: AttemptedRun, checkpoints?: CheckpointStore) {
    this.#run = run;
    this.#checkpoints = checkpoints;
  }

  async take(message: JobMessage): Promise<void> {
    switch (message.type) {
      case "heartbeat":
      case "encoding":
      case "report":
      case "ingested":
        return;
      case "finish":
        this.finish = message;
        return;
      case "stopped":
        this.stopped = true;
        return;
      case "error":
        this.error = message.message;
        return;
      case "download":
      case "step":
        if (this.#isEarly() && !isLastOfFile(message)) return;
        this.#lastAt = performance.now();
        break;
      case "checkpoint":
        this.checkpointed = true;
        return await this.#checkpoint(message);
    }
    this.#progress = progressAfter(message, this.#progress);
    await this.#append(message, this.#progress === undefined ? {} : { progress: this.#progress });
  }

  /** Whether the last event was added too short a time ago. */
  #isEarly(): boolean {
    const now = performance.now();
    return now - this.#lastAt < eventIntervalMs(now - this.#startedAt);
  }

  async #checkpoint(event: CheckpointEvent): Promise<void> {
    const append = (change: Partial<Run>) =>
      this.#append(event, { checkpoint_step: event.step, ...change });
    if (this.#checkpoints === undefined) return await append({});
    // An attempt that counts no more stores nothing.
    await this.#run.get();
    await this.#checkpoints.store(append);
  }

  /** Appends an event to the stream, unless the disk is full: the training is worth more. */
  async #append(event: RunEvent, change: Partial<Run>): Promise<void> {
    try {
      await this.#run.append(event, change);
    } catch (error) {
      if (!isDiskFull(error)) throw error;
    }
  }
}

/** The progress of a run after an event. */
function progressAfter(
  event: Exclude<TrainEvent, FinishEvent>,
  before: RunProgress | undefined,
): RunProgress | undefined {
  if (event.type === "start") {
    const { steps, steps_done: step, epochs, device } = event;
    return { step, steps, epoch: epochs * step / steps, epochs, device };
  }
  if (before === undefined) return undefined;
  if (event.type === "step") {
    const { type: _type, grad_norm: _norm, learning_rate: _rate, ...progress } = event;
    return { ...before, ...progress };
  }
  if (event.type !== "evaluation" || !event.best) return before;
  const { type: _type, epoch: _epoch, loss: _loss, best: _best, ...best } = event;
  return { ...before, best };
}

function isLastOfFile(event: TrainEvent): boolean {
  return event.type === "download" && event.received === event.size;
}
