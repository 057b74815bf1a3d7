/**
 * The history of a run, and how an event changes it.
 *
 * @module
 */
import { keptPoints } from "../lib/thinning.ts";
import type { RunHistory } from "./api.ts";

/** The number of points at which curves are thinned out. */
const MAX_POINTS = 4000;

/** The approximate number of points that are left after that. */
export const POINTS = 2000;

/** The history of a run before any event. */
export const EMPTY: RunHistory = {
  steps: { step: [], epoch: [], loss: [], grad_norm: [], learning_rate: [], tokens_per_second: [] },
  evaluations: [],
  log: [],
  last_event_id: 0,
  is_live: true,
};

type Columns = RunHistory["steps"];
type Column = keyof Columns;
const COLUMNS = Object.keys(EMPTY.steps) as Column[];

/** Any event in the stream of a run. */
export type StreamedEvent =
  | { type: "step" } & Record<Column, number>
  | { type: "evaluation" } & RunHistory["evaluations"][number]
  | RunHistory["log"][number]["event"];

/** A run after one more event. */
export function after(before: RunHistory, id: number, event: StreamedEvent): RunHistory {
  if (id <= before.last_event_id) return before;
  const next = { ...before, last_event_id: id };
  switch (event.type) {
    case "step":
      return { ...next, steps: withStep(before.steps, event) };
    case "evaluation": {
      const earlier = before.evaluations.filter(({ step }) => step < event.step);
      return { ...next, evaluations: [...earlier, event] };
    }
    case "download":
      return next;
    default:
      return { ...next, log: [...before.log, { id, event }] };
  }
}

function withStep(before: Columns, event: Record<Column, number>): Columns {
  // An attempt that resumes from a checkpoint repeats the steps after it.
  const firstLater = before.step.findIndex((step) => step >= event.step);
  const kept = firstLater < 0 ? before.step.length : firstLater;
  const columns = eachColumn((column) => [...before[column].slice(0, kept), event[column]]);
  if (columns.step.length < MAX_POINTS) return columns;
  const places = keptPoints([columns.loss, columns.grad_norm], POINTS);
  return eachColumn((column) => places.map((i) => columns[column][i]!));
}

function eachColumn(values: (column: Column) => number[]): Columns {
  return Object.fromEntries(COLUMNS.map((column) => [column, values(column)])) as Columns;
}
