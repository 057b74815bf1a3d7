/**
 * The state of runs and evaluations in Deno KV. The server is the only process that writes it.
 *
 * @module
 */
import type { EvaluationReport } from "./evaluation.ts";
import type { FinishEvent, TrainEvent, TrainResult } from "./events.ts";

/** Errors are cut to this, as a value of Deno KV ends at 64 KiB. */
export const MAX_ERROR_LENGTH = 4000;

/** Where a run stands. */
export type RunState = "queued" | "running" | "succeeded" | "failed";

/** A training run. */
export interface Run {
  id: string;
  /** The name under which the trained model is served. */
  name: string;
  state: RunState;
  /** What was asked for, in snake_case. */
  settings: Record<string, unknown>;
  dataset: string;
  created_at: string;
  started_at?: string;
  finished_at?: string;
  /** How many events there are; their ids count from 1. */
  event_count: number;
  /** Of a run that succeeded. */
  result?: RunResult;
  /** Why a run failed. */
  error?: string;
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
}

/** Whether a run or evaluation is over. */
export function isOver({ state }: { state: RunState }): boolean {
  return state === "succeeded" || state === "failed";
}

/** No id is longer; Deno KV refuses keys of more than 2 KiB. */
const MAX_ID_LENGTH = 200;

/** Keeps runs, their events, and evaluations. */
export class RunStore implements Disposable {
  readonly #kv: Deno.Kv;

  private constructor(kv: Deno.Kv) {
    this.#kv = kv;
  }

  /** Opens the store in a file, or in memory for `:memory:`. */
  static async open(path: string): Promise<RunStore> {
    return new RunStore(await Deno.openKv(path));
  }

  /** Writes a new run with its first event. */
  async create(run: Run): Promise<void> {
    await this.#kv.set(["runs", run.id], run);
    await this.append(run.id, { type: "state", state: run.state });
  }

  /** A run by its id. */
  async get(id: string): Promise<Run | undefined> {
    if (id.length > MAX_ID_LENGTH) return undefined;
    return (await this.#kv.get<Run>(["runs", id])).value ?? undefined;
  }

  /** All runs, the newest first. */
  async list(): Promise<Run[]> {
    const runs: Run[] = [];
    for await (const { value } of this.#kv.list<Run>({ prefix: ["runs"] })) runs.push(value);
    return runs.sort((a, b) => b.created_at < a.created_at ? -1 : 1);
  }

  /** Adds an event to a run's stream and changes the run in the same moment. */
  async append(id: string, event: RunEvent, change: Partial<Run> = {}): Promise<void> {
    // Another change may come between reading and writing; then this one is made on top of it.
    for (let committed = false; !committed;) {
      const entry = await this.#kv.get<Run>(["runs", id]);
      if (entry.value === null) throw new RangeError(`Cannot change run '${id}': there is none`);
      const eventCount = entry.value.event_count + 1;
      const result = await this.#kv.atomic()
        .check(entry)
        .set(["events", id, eventCount], event)
        .set(["runs", id], { ...entry.value, ...change, event_count: eventCount })
        .commit();
      committed = result.ok;
    }
  }

  /**
   * Moves a run to another state, and tells those who follow it.
   *
   * @throws {RangeError} If the run is over.
   */
  async setState(id: string, state: RunState, change: Partial<Run> = {}): Promise<void> {
    const run = await this.get(id);
    if (run !== undefined && isOver(run)) {
      throw new RangeError(`Cannot change run '${id}' to ${state}: it has ${run.state} already`);
    }
    const event: StateEvent = { type: "state", state };
    if (change.error !== undefined) event.error = change.error;
    await this.append(id, event, { ...change, state });
  }

  /**
   * The events of a run from a point on, then those to come until the run is over.
   *
   * @param after The id of the last event that is already known; 0 for none.
   */
  async *events(id: string, after: number, signal: AbortSignal): AsyncGenerator<NumberedEvent> {
    if (signal.aborted) return;
    let last = after;
    const changes = this.#kv.watch<[Run]>([["runs", id]]).getReader();
    const stop = () => void changes.cancel();
    signal.addEventListener("abort", stop);
    try {
      while (true) {
        const { done, value } = await changes.read();
        const run = value?.[0].value;
        if (done || run === undefined || run === null) return;
        if (run.event_count > last) {
          const fresh = this.#kv.list<RunEvent>({
            start: ["events", id, last + 1],
            end: ["events", id, run.event_count + 1],
          });
          for await (const { key, value: event } of fresh) {
            last = Number(key[2]);
            yield { id: last, event };
          }
        }
        if (isOver(run)) return;
      }
    } finally {
      signal.removeEventListener("abort", stop);
      await changes.cancel();
    }
  }

  /** Writes an evaluation. */
  async putEvaluation(evaluation: Evaluation): Promise<void> {
    await this.#kv.set(["evaluations", evaluation.id], evaluation);
  }

  /** An evaluation by its id. */
  async getEvaluation(id: string): Promise<Evaluation | undefined> {
    if (id.length > MAX_ID_LENGTH) return undefined;
    return (await this.#kv.get<Evaluation>(["evaluations", id])).value ?? undefined;
  }

  /** All evaluations, in no particular order. */
  async listEvaluations(): Promise<Evaluation[]> {
    const entries = this.#kv.list<Evaluation>({ prefix: ["evaluations"] });
    return (await Array.fromAsync(entries)).map(({ value }) => value);
  }

  /** Closes the store. */
  close(): void {
    this.#kv.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
