/**
 * The course of a run from its beginning, short enough to be drawn: its events as columns, thinned
 * out.
 *
 * @module
 */
import { keptPoints } from "../lib/thinning.ts";
import type { EvaluationEvent } from "../training/events.ts";
import type { NumberedEvent, RunEvent, RunStore } from "./run_store.ts";

/** The columns of steps that are drawn, under the names of their events' fields. */
export const STEP_COLUMNS = [
  "step",
  "epoch",
  "loss",
  "grad_norm",
  "learning_rate",
  "tokens_per_second",
] as const;

/** One of {@link STEP_COLUMNS}. */
export type StepColumn = (typeof STEP_COLUMNS)[number];

/** An event that is no point of a curve. */
export type LogEvent = Exclude<RunEvent, { type: "step" | "evaluation" }>;

/** The course of a run so far. */
export interface RunHistory {
  /** The values of each column, `[points]`. */
  steps: Record<StepColumn, number[]>;
  evaluations: EvaluationEvent[];
  /** All other events but the parts of downloads. */
  log: { id: number; event: LogEvent }[];
  /** The id of the last event included; the run's event stream goes on after it. */
  last_event_id: number;
}

/** The number of runs whose histories are kept in memory. */
const KEPT_RUNS = 16;
const MAX_LOG = 1000;

/** Reads histories of runs; events that were read once are not read again. */
export class RunHistories {
  readonly #store: RunStore;
  /** The histories, the most recently used last. */
  readonly #kept = new Map<string, RunHistory>();

  constructor(store: RunStore) {
    this.#store = store;
  }

  /**
   * The course of a run so far.
   *
   * @param points About how many steps to give.
   */
  async of(id: string, points: number): Promise<RunHistory> {
    const history = this.#kept.get(id) ?? emptyHistory();
    const fresh = await this.#store.eventsSoFar(id, history.last_event_id);
    // Another reader may have added them meanwhile.
    for (const numbered of fresh) {
      if (numbered.id > history.last_event_id) addTo(history, numbered);
    }
    this.#kept.delete(id);
    this.#kept.set(id, history);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT_RUNS) break;
      this.#kept.delete(oldest);
    }
    return thinned(history, points);
  }

  /** Forgets a run that has been removed. */
  forget(id: string): void {
    this.#kept.delete(id);
  }
}

function emptyHistory(): RunHistory {
  const steps = Object.fromEntries(STEP_COLUMNS.map((column) => [column, []]));
  return {
    steps: steps as unknown as RunHistory["steps"],
    evaluations: [],
    log: [],
    last_event_id: 0,
  };
}

function addTo(history: RunHistory, { id, event }: NumberedEvent): void {
  history.last_event_id = id;
  switch (event.type) {
    case "step":
      dropFrom(history, event.step);
      for (const column of STEP_COLUMNS) history.steps[column].push(event[column]);
      return;
    case "evaluation":
      history.evaluations = history.evaluations.filter(({ step }) => step < event.step);
      history.evaluations.push(event);
      return;
    case "download":
      if (event.received !== event.size) return;
  }
  history.log.push({ id, event });
  if (history.log.length > MAX_LOG) history.log.shift();
}

/** Drops the steps from `step` on, which an attempt that resumed from a checkpoint repeats. */
function dropFrom({ steps }: RunHistory, step: number): void {
  let count = steps.step.length;
  while (count > 0 && steps.step[count - 1]! >= step) count--;
  for (const column of STEP_COLUMNS) steps[column].length = count;
}

/** A history with about as many steps as `points`, in which peaks stay. */
export function thinned(history: RunHistory, points: number): RunHistory {
  const kept = keptPoints([history.steps.loss, history.steps.grad_norm], points);
  const steps = Object.fromEntries(
    STEP_COLUMNS.map((column) => [column, kept.map((i) => history.steps[column][i]!)]),
  );
  return { ...history, steps: steps as unknown as RunHistory["steps"] };
}
