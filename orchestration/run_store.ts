/**
 * The state of runs and evaluations, and the queue of those that wait.
 *
 * @module
 */
import type { EvaluationReport } from "../training/evaluation.ts";
import type { EvaluateJob } from "./job.ts";
import type { EncodingEvent, FinishEvent, TrainEvent, TrainResult } from "../training/events.ts";
import type { Headline } from "../training/metrics.ts";

/** Errors are cut to this, as a value of Deno KV ends at 64 KiB. */
export const MAX_ERROR_LENGTH = 4000;

/** Where a run stands. */
export type RunState = "queued" | "running" | "succeeded" | "failed" | "cancelled";

/** A training run. */
export interface Run {
  id: string;
  /** The name under which the trained model is served. */
  name: string;
  state: RunState;
  /** What was asked for, in snake_case. */
  settings: Record<string, unknown>;
  /** Where the base is: its folder, its name on the hub, or random weights. */
  base: string;
  dataset: string;
  created_at: string;
  started_at?: string | undefined;
  finished_at?: string | undefined;
  /** How many events there are; their ids count from 1. */
  event_count: number;
  /** The attempt that counts, from 1; what earlier ones still do is of no account. */
  attempt: number;
  /** The step of the last checkpoint; 0 before the first. */
  checkpoint_step: number;
  /** Attempts that ended without a new checkpoint, one after the other. */
  deaths: number;
  /** How far it is, once it has begun. */
  progress?: RunProgress | undefined;
  /** Whether it is to stop; it does so within a step. */
  cancelling?: boolean | undefined;
  /** Whether its model is to take the requests of its name from the version that has them. */
  promote?: boolean | undefined;
  /** In a cluster, the label of a worker that may take it; without one any may. */
  worker_label?: string | undefined;
  /** The run of which it is another try. */
  retry_of?: string | undefined;
  /** Of a run that succeeded. */
  result?: RunResult | undefined;
  /** Why a run failed. */
  error?: string | undefined;
  /** In a cluster, what is stored of its files. */
  artifacts?: { checkpoint?: string | undefined; model?: string } | undefined;
}

/** How far a run is, by what it last reported. */
export interface RunProgress {
  step: number;
  steps: number;
  /** How much of the training file has been seen, such as 1.5. */
  epoch: number;
  epochs: number;
  device: string;
  /** Of the last step; there is none before the first. */
  loss?: number;
  tokens_per_second?: number;
  seconds_left?: number;
  /** What its process holds. */
  memory_bytes?: number;
  /** The best evaluation on the validation file so far. */
  best?: Headline & { step: number };
}

/** A run that is to be queued. */
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

/** What a run gave, small enough for a value of Deno KV; the folder has the whole of it. */
export interface RunResult extends Omit<TrainResult, "metrics"> {
  metrics: Summary<TrainResult["metrics"]>;
}

/** A report without what grows with the number of classes. */
type Summary<Report extends EvaluationReport> = Report extends unknown
  ? Omit<Report, "per_class" | "confusion_matrix">
  : never;

/** The event stream of a run carries what the run reports, and changes of its state. */
export type RunEvent =
  | Exclude<TrainEvent, EncodingEvent | FinishEvent>
  | StateEvent
  | RunFinishEvent;

/** The model is written and the run is over. */
export interface RunFinishEvent extends RunResult {
  type: "finish";
}

/** An event with its place in the stream. */
export interface NumberedEvent {
  id: number;
  event: RunEvent;
}

/** An evaluation of a model on a data set; its report is a file. */
export interface Evaluation {
  id: string;
  state: RunState;
  model: string;
  dataset: string;
  created_at: string;
  finished_at?: string;
  error?: string;
  /** The attempt that counts, from 1; 0 or nothing before the first. */
  attempt?: number;
  /** In a cluster, what is stored of its report and predictions. */
  artifact?: string;
  /** What is to be done. */
  job: EvaluateJob;
}

/** Whether a run or evaluation is over. */
export function isOver({ state }: { state: RunState }): boolean {
  return state !== "queued" && state !== "running";
}

/** What lists are filtered by. */
export type RunSummary = Pick<Run, "name" | "state" | "dataset">;

/** What is known of a run without reading it. */
export type RunEntry = RunSummary & Pick<Run, "id" | "created_at">;

/** A request that is to create one run, however often it is made. */
export interface IdempotentRequest {
  /** The name of the API key, whose requests alone are compared. */
  owner: string;
  /** The `Idempotency-Key`. */
  key: string;
  /** Of the body. */
  sha256: string;
}

/** A request to create a run that was answered. */
export interface CreatedRun {
  /** Of the request's body. */
  sha256: string;
  runId: string;
}

/** A change of a run, and perhaps an event that tells of it; both are there or neither. */
export interface RunUpdate {
  change: Partial<Run>;
  event?: RunEvent;
}

/** Something that is to be done. */
export interface Task {
  kind: "run" | "evaluation";
  id: string;
}

/** A task in the hands of one worker. */
export interface Claim extends Task {
  /** Without a word for so long it is given to another; nothing where there is none. */
  leaseMs?: number;
  /** Says that it is being worked on. */
  keepAlive(): Promise<void>;
  /** It is done, and leaves the queue. */
  release(): Promise<void>;
  /** It is not done, and whoever wants may take it. */
  giveBack(): Promise<void>;
}

/**
 * Keeps runs, their events and evaluations, and the queue of those that wait.
 *
 * A write concerns one run or evaluation, and nothing here needs two to change at once: so that a
 * store without transactions can stand behind it.
 */
export abstract class RunStore implements Disposable {
  /** How many tasks wait to be claimed. */
  abstract readonly queueLength: number;

  /**
   * Writes a new run with its first event.
   *
   * @param created The request's key and body, if the request is not to create another.
   * @returns Whether it was written: it is not where a request of that key has created one.
   */
  abstract create(run: Run, created?: IdempotentRequest): Promise<boolean>;

  /** What a request of this owner and key has created. */
  abstract created(request: IdempotentRequest): Promise<CreatedRun | undefined>;

  /** A run by its id, which may be any text. */
  abstract get(id: string): Promise<Run | undefined>;

  /** All runs, the newest first. */
  abstract list(): Promise<Run[]>;

  /** What is known of all runs without reading them. */
  abstract summaries(): Promise<RunEntry[]>;

  /**
   * Runs one after the other, the newest first; those that nobody asks for are not read.
   *
   * @param after The run after which to begin.
   * @param isWanted Tells by what is known of a run before it is read.
   */
  abstract newest(
    after?: Pick<Run, "id" | "created_at">,
    isWanted?: (summary: RunSummary) => boolean,
  ): AsyncGenerator<Run>;

  /** Forgets a run and its events. */
  abstract delete(id: string): Promise<void>;

  /**
   * Changes a run.
   *
   * @param decide Told how the run is, and told again where another change came between; what it
   * throws is thrown, and nothing is changed.
   * @throws {RangeError} If there is no such run.
   */
  abstract update(id: string, decide: (run: Run) => RunUpdate): Promise<Run>;

  /** A run, now and after changes, of which some may be left out; ends with the signal. */
  abstract watch(id: string, signal: AbortSignal): AsyncGenerator<Run | undefined>;

  /** The events of a run from a point on that there are by now. */
  abstract eventsSoFar(id: string, after: number): Promise<NumberedEvent[]>;

  /** Writes a new evaluation. */
  abstract createEvaluation(evaluation: Evaluation): Promise<void>;

  /** An evaluation by its id, which may be any text. */
  abstract getEvaluation(id: string): Promise<Evaluation | undefined>;

  /** All evaluations, the newest first. */
  abstract listEvaluations(): Promise<Evaluation[]>;

  /**
   * Changes an evaluation, as {@link update} does a run.
   *
   * @throws {RangeError} If there is no such evaluation.
   */
  abstract updateEvaluation(
    id: string,
    decide: (evaluation: Evaluation) => Partial<Evaluation>,
  ): Promise<Evaluation>;

  /** Puts a task, which is in the store, at the end of the queue, unless it waits there. */
  abstract enqueue(task: Task): Promise<void>;

  /** Takes a task out of the queue that nobody is to claim. */
  abstract withdraw(id: string): Promise<void>;

  /**
   * Waits for a task that is to be done, and claims it.
   *
   * @returns Nothing when the signal aborts.
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
   * The events of a run from a point on, then those to come until the run is over.
   *
   * @param after The id of the last event that is already known; 0 for none.
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
      // What was read may be newer than the run that was seen.
      if (isOver(run) && last >= run.event_count) return;
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * A run in the hands of one attempt. When another attempt has begun this one can change nothing any
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
   * As {@link RunStore.update}.
   *
   * @throws {AttemptReplacedError} If another attempt has begun.
   */
  async update(decide: (run: Run) => RunUpdate): Promise<Run> {
    return await this.#store.update(this.id, (run) => {
      this.check(run);
      return decide(run);
    });
  }

  /** As {@link RunStore.change}. */
  async change(change: Partial<Run>): Promise<Run> {
    return await this.update(() => ({ change }));
  }

  /** As {@link RunStore.append}. */
  async append(event: RunEvent, change: Partial<Run> = {}): Promise<void> {
    await this.update(() => ({ change, event }));
  }

  /** As {@link RunStore.setState}. */
  async setState(state: RunState, change: Partial<Run> = {}): Promise<Run> {
    return await this.update(stateUpdate(state, change));
  }

  /** @throws {AttemptReplacedError} If another attempt has begun by this state of the run. */
  check({ attempt }: Run): void {
    if (attempt !== this.#attempt) {
      throw new AttemptReplacedError(
        `Cannot change run '${this.id}': attempt ${attempt} has taken the place of ${this.#attempt}`,
      );
    }
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

/** A run is not in a state from which it can be changed so. */
export class RunStateError extends Error {
  override name = "RunStateError";
}

/** Another attempt has begun, so that this one counts no more. */
export class AttemptReplacedError extends RunStateError {
  override name = "AttemptReplacedError";
}

/** Orders runs and evaluations by the time of their creation. */
export function newestFirst(a: { created_at: string }, b: { created_at: string }): number {
  return b.created_at < a.created_at ? -1 : Number(b.created_at > a.created_at);
}

/** What lists are filtered by, of a run. */
export function summaryOf({ name, state, dataset }: Run): RunSummary {
  return { name, state, dataset };
}
