/**
 * The state of runs and evaluations. The server is the only process that writes it.
 *
 * @module
 */
import { type Key, KvStore, type Store, type Write } from "./store.ts";
import type { EvaluationReport } from "../training/evaluation.ts";
import type { EvaluateJob } from "./job.ts";
import type { FinishEvent, TrainEvent, TrainResult } from "../training/events.ts";
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
  /** The run of which it is another try. */
  retry_of?: string | undefined;
  /** Of a run that succeeded. */
  result?: RunResult | undefined;
  /** Why a run failed. */
  error?: string | undefined;
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
export type RunEvent = Exclude<TrainEvent, FinishEvent> | StateEvent | RunFinishEvent;

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
  /** What is to be done. */
  job: EvaluateJob;
}

/** Whether a run or evaluation is over. */
export function isOver({ state }: { state: RunState }): boolean {
  return state !== "queued" && state !== "running";
}

/** No id is longer; Deno KV refuses keys of more than 2 KiB. */
const MAX_ID_LENGTH = 200;
/** For so long the same request to create a run creates no other. */
const IDEMPOTENCY_MS = 24 * 3600_000;
/** Deno KV takes so many writes at once. */
const MAX_WRITES = 500;

/** What lists are filtered by. */
export type RunSummary = Pick<Run, "name" | "state" | "dataset">;

/** Runs by the time of their creation: lists read no more of them than they show. */
const RUNS_BY_TIME = "runs_by_time";
/** Says that all runs are there. */
const INDEXED: Key = ["indexed", RUNS_BY_TIME, 2];
/** So many runs of a list are read at once. */
const INDEX_PAGE = 200;

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

/** Keeps runs, their events, and evaluations. */
export class RunStore implements Disposable {
  readonly #store: Store;

  /** @param store Where they are kept; it is closed with this. */
  constructor(store: Store) {
    this.#store = store;
  }

  /** Opens the store in a file, a KV database by its URL, or in memory for `:memory:`. */
  static async open(path: string): Promise<RunStore> {
    const store = await KvStore.open(path);
    await indexRuns(store);
    return new RunStore(store);
  }

  /**
   * Writes a new run with its first event.
   *
   * @param created The request's key and body, if the request is not to create another.
   * @returns Whether it was written: it is not where a request of that key has created one.
   */
  async create(run: Run, created?: IdempotentRequest): Promise<boolean> {
    const event: StateEvent = { type: "state", state: run.state };
    const writes: Write[] = [
      { key: ["runs", run.id], value: { ...run, event_count: 1 } },
      { key: indexKey(run), value: summaryOf(run) },
      { key: ["events", run.id, 1], value: event },
    ];
    if (created === undefined) return await this.#store.put(writes);
    const key = createdKey(created);
    const value: CreatedRun = { sha256: created.sha256, runId: run.id };
    writes.push({ key, value, expireInMs: IDEMPOTENCY_MS });
    return await this.#store.put(writes, [{ key, version: undefined }]);
  }

  /** What a request of this owner and key has created. */
  async created(request: IdempotentRequest): Promise<CreatedRun | undefined> {
    return (await this.#store.get<CreatedRun>(createdKey(request)))?.value;
  }

  /** A run by its id. */
  async get(id: string): Promise<Run | undefined> {
    if (id.length > MAX_ID_LENGTH) return undefined;
    return (await this.#store.get<Run>(["runs", id]))?.value;
  }

  /** All runs, the newest first. */
  async list(): Promise<Run[]> {
    const runs = (await this.#store.list<Run>({ prefix: ["runs"] })).map(({ value }) => value);
    return runs.sort(newestFirst);
  }

  /**
   * Runs one after the other, the newest first; those that nobody asks for are not read.
   *
   * @param after The run after which to begin.
   * @param isWanted Tells by what is known of a run before it is read.
   */
  async *newest(
    after?: Run,
    isWanted: (summary: RunSummary) => boolean = () => true,
  ): AsyncGenerator<Run> {
    let end = after && indexKey(after);
    while (true) {
      const entries = await this.#store.list<RunSummary>({
        prefix: [RUNS_BY_TIME],
        ...end !== undefined && { end },
        limit: INDEX_PAGE,
        reverse: true,
      });
      const wanted = entries.filter(({ value }) => isWanted(value));
      const runs = await Promise.all(wanted.map(({ key }) => this.get(String(key.at(-1)))));
      for (const run of runs) if (run !== undefined) yield run;
      if (entries.length < INDEX_PAGE) return;
      end = entries.at(-1)!.key;
    }
  }

  /** Forgets a run and its events. */
  async delete(id: string): Promise<void> {
    const run = await this.get(id);
    const events = await this.#store.list({ prefix: ["events", id] });
    const keys: Key[] = [["runs", id], ...events.map(({ key }) => key)];
    if (run !== undefined) keys.unshift(indexKey(run));
    while (keys.length > 0) {
      await this.#store.put(keys.splice(0, MAX_WRITES).map((key) => ({ key })));
    }
  }

  /** Changes a run; its followers are told nothing. */
  async change(id: string, change: (run: Run) => Partial<Run>): Promise<Run> {
    return await this.#update(id, (run) => ({ change: change(run) }));
  }

  /** Adds an event to a run's stream and changes the run in the same moment. */
  async append(id: string, event: RunEvent, change: Partial<Run> = {}): Promise<void> {
    await this.#update(id, () => ({ change, event }));
  }

  async #update(
    id: string,
    decide: (run: Run) => { change: Partial<Run>; event?: RunEvent },
  ): Promise<Run> {
    // Another change may come between reading and writing; then this one is made on top of it.
    while (true) {
      const entry = await this.#store.get<Run>(["runs", id]);
      if (entry === undefined) throw new RangeError(`Cannot change run '${id}': there is none`);
      const { change, event } = decide(entry.value);
      const run: Run = { ...entry.value, ...change };
      const writes: Write[] = [{ key: ["runs", id], value: run }];
      if (run.state !== entry.value.state) {
        writes.push({ key: indexKey(run), value: summaryOf(run) });
      }
      if (event !== undefined) {
        run.event_count = entry.value.event_count + 1;
        writes.push({ key: ["events", id, run.event_count], value: event });
      }
      if (await this.#store.put(writes, [{ key: ["runs", id], version: entry.version }])) {
        return run;
      }
    }
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
    from: readonly RunState[] = ["queued", "running"],
  ): Promise<Run> {
    const event: StateEvent = { type: "state", state };
    if (change.error !== undefined) event.error = change.error;
    return await this.#update(id, (run) => {
      if (!from.includes(run.state)) {
        throw new RunStateError(`Cannot change run '${id}' to ${state}: it is ${run.state}`);
      }
      return { change: { ...change, state }, event };
    });
  }

  /**
   * The events of a run from a point on, then those to come until the run is over.
   *
   * @param after The id of the last event that is already known; 0 for none.
   */
  async *events(id: string, after: number, signal: AbortSignal): AsyncGenerator<NumberedEvent> {
    let last = after;
    for await (const run of this.#store.watch<Run>(["runs", id], signal)) {
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

  /** The events of a run from a point on that there are by now. */
  async eventsSoFar(id: string, after: number): Promise<NumberedEvent[]> {
    const entries = await this.#store.list<RunEvent>({
      prefix: ["events", id],
      start: ["events", id, after + 1],
    });
    return entries.map(({ key, value: event }) => ({ id: Number(key[2]), event }));
  }

  /** Writes an evaluation. */
  async putEvaluation(evaluation: Evaluation): Promise<void> {
    await this.#store.put([{ key: ["evaluations", evaluation.id], value: evaluation }]);
  }

  /** An evaluation by its id. */
  async getEvaluation(id: string): Promise<Evaluation | undefined> {
    if (id.length > MAX_ID_LENGTH) return undefined;
    return (await this.#store.get<Evaluation>(["evaluations", id]))?.value;
  }

  /** All evaluations, the newest first. */
  async listEvaluations(): Promise<Evaluation[]> {
    const entries = await this.#store.list<Evaluation>({ prefix: ["evaluations"] });
    return entries.map(({ value }) => value).sort(newestFirst);
  }

  /** Closes the store. */
  close(): void {
    this.#store[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function summaryOf({ name, state, dataset }: Run): RunSummary {
  return { name, state, dataset };
}

function indexKey({ created_at, id }: Pick<Run, "created_at" | "id">): Key {
  return [RUNS_BY_TIME, created_at, id];
}

/** Adds the runs of a store that was written when there was no index. */
async function indexRuns(store: Store): Promise<void> {
  if (await store.get(INDEXED) !== undefined) return;
  const runs = await store.list<Run>({ prefix: ["runs"] });
  const writes = runs.map(({ value }): Write => ({
    key: indexKey(value),
    value: summaryOf(value),
  }));
  while (writes.length > 0) await store.put(writes.splice(0, MAX_WRITES));
  await store.put([{ key: INDEXED, value: true }]);
}

/** A run is not in a state from which it can be changed so. */
export class RunStateError extends Error {
  override name = "RunStateError";
}

function newestFirst(a: { created_at: string }, b: { created_at: string }): number {
  return b.created_at < a.created_at ? -1 : Number(b.created_at > a.created_at);
}

function createdKey({ owner, key }: IdempotentRequest): Key {
  return ["created", owner, key];
}
