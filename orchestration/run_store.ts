/**
 * The state of runs and evaluations, and the queue of those that wait.
 *
 * @module
 */
import type { EvaluationReport } from "../training/evaluation.ts";
import type { EvaluateJob } from "./job.ts";
import type { EncodingEvent, FinishEvent, TrainEvent, TrainResult } from "../training/events.ts";
import type { Headline } from "../training/metrics.ts";
import type { TrialResult } from "../training/trials.ts";

/** The most characters of an error, as a value of Deno KV is at most 64 KiB. */
export const MAX_ERROR_LENGTH = 4000;

/** The states of runs and of evaluations. */
export const RUN_STATES = ["queued", "running", "succeeded", "failed", "cancelled"] as const;

/** The state of a run. */
export type RunState = typeof RUN_STATES[number];

/** A training run. */
export interface Run {
  id: string;
  /** The name under which the trained model is served. */
  name: string;
  state: RunState;
  /** The requested settings, in snake_case. */
  settings: Record<string, unknown>;
  /** The base: its folder, its name on the hub, or random weights. */
  base: string;
  dataset: string;
  created_at: string;
  started_at?: string | undefined;
  finished_at?: string | undefined;
  /** The number of events; their ids count from 1. */
  event_count: number;
  /** The current attempt, from 1; anything that earlier ones still do is ignored. */
  attempt: number;
  /** The step of the last checkpoint; 0 before the first. */
  checkpoint_step: number;
  /** The number of attempts in a row that ended without a new checkpoint. */
  deaths: number;
  /** The progress of the run, once it has begun. */
  progress?: RunProgress | undefined;
  /** Whether the run is to stop, which takes a step at most. */
  cancelling?: boolean | undefined;
  /** Whether the model is to take over the requests of its name from the version that has them. */
  promote?: boolean | undefined;
  /** In a cluster, the label of a worker that may take the run; without one any may. */
  worker_label?: string | undefined;
  /** The id of the run that this one tries again. */
  retry_of?: string | undefined;
  /** The search for settings that comes before the training. */
  tuning?: Tuning | undefined;
  /** The id of the run for which this one tries settings: it is never queued, and leaves no model. */
  trial_of?: string | undefined;
  /** The result of a run that succeeded. */
  result?: RunResult | undefined;
  /** The reason why a run failed. */
  error?: string | undefined;
  /** In a cluster, the names of its stored files. */
  artifacts?: { checkpoint?: string | undefined; model?: string } | undefined;
}

/** The settings of a trial. */
export interface TuningTrial {
  learning_rate: number;
  epochs: number;
  lora_rank?: number;
  prefix_length?: number;
}

/** A search for the settings of a run; each trial is a run of its own. */
export interface Tuning {
  /** The number of training examples. */
  examples: number;
  /** The minutes that all may take together. */
  minutes?: number | undefined;
  /** The settings that are tried; the first trial's are the defaults. */
  trials: TuningTrial[];
  results: TrialResult[];
  /** The indices of trials that failed or were cancelled, and have no result. */
  failed: number[];
  /** The index of the best trial, once it is known; the run has its settings by then. */
  best?: number;
}

/** The progress of a run, by its last report. */
export interface RunProgress {
  step: number;
  steps: number;
  /** The epochs trained so far, such as 1.5. */
  epoch: number;
  epochs: number;
  device: string;
  /** The loss of the last step; absent before the first. */
  loss?: number;
  tokens_per_second?: number;
  seconds_left?: number;
  /** The memory of the run's process. */
  memory_bytes?: number;
  /** The best evaluation on the validation file so far. */
  best?: Headline & { step: number };
}

/** Makes a run that is to be queued. */
export function newRun(
  { id, name, ...fields }:
    & Pick<Run, "id" | "name" | "settings" | "base" | "dataset">
    & Partial<Run>,
): Run {
  return {
    id,
    name,
    state: "queued",
    created_at: new Date().toISOString(),
    event_count: 0,
    attempt: 0,
    checkpoint_step: 0,
    deaths: 0,
    ...fields,
  };
}

/** The state of a run has changed. */
export interface StateEvent {
  type: "state";
  state: RunState;
  error?: string;
}

/** The result of a run, small enough for a value of Deno KV; the run's folder has all of it. */
export interface RunResult extends Omit<TrainResult, "metrics"> {
  metrics: Summary<TrainResult["metrics"]>;
}

/** A report without the parts that grow with the number of classes. */
type Summary<Report extends EvaluationReport> = Report extends unknown
  ? Omit<Report, "per_class" | "confusion_matrix">
  : never;

/** An event of a run's stream: what the run reports, and changes of its state. */
export type RunEvent =
  | Exclude<TrainEvent, EncodingEvent | FinishEvent>
  | StateEvent
  | RunFinishEvent;

/** The model is written, and the run is over. */
export interface RunFinishEvent extends RunResult {
  type: "finish";
}

/** An event with its place in the stream. */
export interface NumberedEvent {
  id: number;
  event: RunEvent;
}

/** The fields of an evaluation that lists are filtered by. */
export type EvaluationSummary = Pick<Evaluation, "model" | "dataset">;

/** An evaluation of a model on a data set; its report is a file. */
export interface Evaluation {
  id: string;
  state: RunState;
  model: string;
  dataset: string;
  created_at: string;
  finished_at?: string;
  error?: string;
  /** The current attempt, from 1; 0 or absent before the first. */
  attempt?: number;
  /** In a cluster, the name of its stored report and predictions. */
  artifact?: string;
  /** The work to do. */
  job: EvaluateJob;
}

/** Whether a run or evaluation is over. */
export function isOver({ state }: { state: RunState }): boolean {
  return state !== "queued" && state !== "running";
}

/** The fields that lists are filtered by. */
export type RunSummary = Pick<Run, "name" | "state" | "dataset" | "trial_of">;

/** The fields of a run that are known without reading it. */
export type RunEntry = RunSummary & Pick<Run, "id" | "created_at">;

/** A request that creates one run, however often it is made. */
export interface IdempotentRequest {
  /** The name of the API key, whose requests alone are compared. */
  owner: string;
  /** The `Idempotency-Key`. */
  key: string;
  /** SHA-256 of the request body. */
  sha256: string;
}

/** The record of an answered request to create a run. */
export interface CreatedRun {
  /** SHA-256 of the request body. */
  sha256: string;
  runId: string;
}

/** A change of a run, and perhaps an event that tells of it; both are written, or neither. */
export interface RunUpdate {
  change: Partial<Run>;
  event?: RunEvent;
}

/** A run or evaluation in the queue. */
export interface Task {
  kind: "run" | "evaluation";
  id: string;
}

/** A task in the hands of one worker. */
export interface Claim extends Task {
  /** The time without news after which the task is given to another; absent if there is none. */
  leaseMs?: number;
  /** Tells the queue that the task is being worked on. */
  keepAlive(): Promise<void>;
  /** Removes the task, which is done, from the queue. */
  release(): Promise<void>;
  /** Returns the task, which is not done, to the queue. */
  giveBack(): Promise<void>;
}

/**
 * Keeps runs, their events and evaluations, and the queue of those that wait.
 *
 * A write concerns one run or evaluation, and no operation needs two to change at once, so that a
 * store without transactions can stand behind it.
 */
export abstract class RunStore implements Disposable {
  /** The number of tasks that wait to be claimed. */
  abstract readonly queueLength: number;

  /**
   * Writes a new run with its first event.
   *
   * @param created The request's key and body, if a repeated request must not create another run.
   * @returns Whether it was written: it is not if there is a run of its id, or if a request of that
   * key has already created one.
   */
  abstract create(run: Run, created?: IdempotentRequest): Promise<boolean>;

  /** The run that a request of this owner and key has created. */
  abstract created(request: IdempotentRequest): Promise<CreatedRun | undefined>;

  /** A run by its id, which may be any text. */
  abstract get(id: string): Promise<Run | undefined>;

  /** All runs, the newest first. */
  abstract list(): Promise<Run[]>;

  /** The summaries of all runs, without reading the runs. */
  abstract summaries(): Promise<RunEntry[]>;

  /**
   * Yields runs, the newest first; runs that nobody asks for are not read.
   *
   * @param after The run after which to begin.
   * @param isWanted Decides by the summary of a run whether it is read.
   */
  abstract newest(
    after?: Pick<Run, "id" | "created_at">,
    isWanted?: (summary: RunSummary) => boolean,
  ): AsyncGenerator<Run>;

  /** Deletes a run and its events. */
  abstract delete(id: string): Promise<void>;

  /**
   * Changes a run.
   *
   * @param decide Gets the run, and gets it again if another change came between; if it throws,
   * nothing is changed and the error is passed on.
   * @throws {RangeError} If there is no such run.
   */
  abstract update(id: string, decide: (run: Run) => RunUpdate): Promise<Run>;

  /** Yields a run now and after changes, some of which may be skipped, until the signal aborts. */
  abstract watch(id: string, signal: AbortSignal): AsyncGenerator<Run | undefined>;

  /** The events of a run after an id, so far. */
  abstract eventsSoFar(id: string, after: number): Promise<NumberedEvent[]>;

  /** Writes a new evaluation. */
  abstract createEvaluation(evaluation: Evaluation): Promise<void>;

  /** An evaluation by its id, which may be any text. */
  abstract getEvaluation(id: string): Promise<Evaluation | undefined>;

  /** All evaluations, the newest first. */
  abstract listEvaluations(): Promise<Evaluation[]>;

  /** Yields evaluations as {@link newest} yields runs. */
  abstract newestEvaluations(
    after?: Pick<Evaluation, "id" | "created_at">,
    isWanted?: (summary: EvaluationSummary) => boolean,
  ): AsyncGenerator<Evaluation>;

  /**
   * Changes an evaluation, as {@link update} changes a run.
   *
   * @throws {RangeError} If there is no such evaluation.
   */
  abstract updateEvaluation(
    id: string,
    decide: (evaluation: Evaluation) => Partial<Evaluation>,
  ): Promise<Evaluation>;

  /** Puts a task, which is in the store, at the end of the queue, unless it is there already. */
  abstract enqueue(task: Task): Promise<void>;

  /** Removes a task that nobody is to claim from the queue. */
  abstract withdraw(id: string): Promise<void>;

  /**
   * Waits for a task, and claims it.
   *
   * @returns `undefined` when the signal aborts.
   */
  abstract claim(signal: AbortSignal): Promise<Claim | undefined>;

  /** Closes the store. */
  abstract close(): void;

  /** Changes a run; its followers are told nothing. */
  async change(id: string, change: (run: Run) => Partial<Run>): Promise<Run> {
    return await this.update(id, (run) => ({ change: change(run) }));
  }

  /** Adds an event to a run's stream and changes the run in the same moment. */
  async append(id: string, event: RunEvent, change: Partial<Run> = {}): Promise<void> {
    await this.update(id, () => ({ change, event }));
  }

  /**
   * Moves a run to another state, and tells those who follow it.
   *
   * @throws {RunStateError} If the run is not in one of the states from which it may.
   */
  async setState(
    id: string,
    state: RunState,
    change: Partial<Run> = {},
    from?: readonly RunState[],
  ): Promise<Run> {
    return await this.update(id, stateUpdate(state, change, from));
  }

  /**
   * Yields the events of a run after an id, then the new ones until the run is over.
   *
   * @param after The id of the last known event; 0 for none.
   */
  async *events(id: string, after: number, signal: AbortSignal): AsyncGenerator<NumberedEvent> {
    let last = after;
    for await (const run of this.watch(id, signal)) {
      if (run === undefined) return;
      if (run.event_count > last) {
        for (const numbered of await this.eventsSoFar(id, last)) {
          last = numbered.id;
          yield numbered;
        }
      }
      // The events that were read may be newer than the run.
      if (isOver(run) && last >= run.event_count) return;
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * A run in the hands of one attempt. Once another attempt has begun this one can change nothing any
 * more, whenever it wakes up.
 */
export class AttemptedRun {
  readonly id: string;
  readonly #store: RunStore;
  readonly #attempt: number;

  constructor(store: RunStore, id: string, attempt: number) {
    this.id = id;
    this.#store = store;
    this.#attempt = attempt;
  }

  /**
   * {@link RunStore.update} for this attempt.
   *
   * @throws {AttemptReplacedError} If another attempt has begun.
   */
  async update(decide: (run: Run) => RunUpdate): Promise<Run> {
    return await this.#store.update(this.id, (run) => {
      this.check(run);
      return decide(run);
    });
  }

  /** {@link RunStore.change} for this attempt. */
  async change(change: Partial<Run>): Promise<Run> {
    return await this.update(() => ({ change }));
  }

  /** {@link RunStore.append} for this attempt. */
  async append(event: RunEvent, change: Partial<Run> = {}): Promise<void> {
    await this.update(() => ({ change, event }));
  }

  /** {@link RunStore.setState} for this attempt. */
  async setState(state: RunState, change: Partial<Run> = {}): Promise<Run> {
    return await this.update(stateUpdate(state, change));
  }

  /**
   * The run.
   *
   * @throws {AttemptReplacedError} If another attempt has begun.
   */
  async get(): Promise<Run> {
    const run = await this.#store.get(this.id);
    this.check(run);
    return run;
  }

  /** @throws {AttemptReplacedError} If another attempt has begun by this state of the run. */
  check(run: Run | undefined): asserts run is Run {
    // A NATS node that has fallen behind may give an older state, which nothing can be written over.
    if (run !== undefined && run.attempt <= this.#attempt) return;
    // Only a run that is over is deleted, so another attempt has ended it.
    const reason = run === undefined
      ? "it was deleted"
      : `attempt ${run.attempt} has taken the place of ${this.#attempt}`;
    throw new AttemptReplacedError(`Cannot change run '${this.id}': ${reason}`);
  }
}

function stateUpdate(
  state: RunState,
  change: Partial<Run>,
  from: readonly RunState[] = ["queued", "running"],
): (run: Run) => RunUpdate {
  const event: StateEvent = { type: "state", state };
  if (change.error !== undefined) event.error = change.error;
  return (run) => {
    if (!from.includes(run.state)) {
      throw new RunStateError(`Cannot change run '${run.id}' to ${state}: it is ${run.state}`);
    }
    return { change: { ...change, state }, event };
  };
}

/** The state of a run does not allow the change. */
export class RunStateError extends Error {
  override name = "RunStateError";
}

/** Another attempt has begun, so that this one no longer counts. */
export class AttemptReplacedError extends RunStateError {
  override name = "AttemptReplacedError";
}

/** Compares runs or evaluations by the time of their creation, the newest first. */
export function newestFirst(a: { created_at: string }, b: { created_at: string }): number {
  return b.created_at < a.created_at ? -1 : Number(b.created_at > a.created_at);
}

/** The fields of a run that lists are filtered by. */
export function summaryOf({ name, state, dataset, trial_of }: Run): RunSummary {
  return { name, state, dataset, ...trial_of !== undefined && { trial_of } };
}
