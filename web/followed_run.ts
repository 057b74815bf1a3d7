/**
 * A run as it goes on: its history, and then every event of its stream.
 *
 * @module
 */
import { useEffect, useState } from "preact/hooks";
import { keptPoints } from "../lib/thinning.ts";
import { addressOf, answered, client, freshness, type RunHistory, watchForReturn } from "./api.ts";

/** A run so far. */
export type FollowedRun = RunHistory;

/** Curves are thinned out to fewer points than this. */
const MAX_POINTS = 4000;
const POINTS = 2000;
const RETRY_MS = 1000;

const EMPTY: FollowedRun = {
  steps: { step: [], epoch: [], loss: [], grad_norm: [], learning_rate: [], tokens_per_second: [] },
  evaluations: [],
  log: [],
  last_event_id: 0,
};

type Columns = FollowedRun["steps"];
type Column = keyof Columns;
const COLUMNS = Object.keys(EMPTY.steps) as Column[];

/** Follows a run until it is over; what comes between two frames of the screen is drawn at once. */
export function useFollowedRun(id: string): FollowedRun {
  const [followed, setFollowed] = useState(EMPTY);
  useEffect(() => {
    let source: EventSource | undefined;
    let timer: number | undefined;
    let frame: number | undefined;
    let current = EMPTY;
    const aborted = new AbortController();
    const draw = () =>
      frame ??= requestAnimationFrame(() => {
        frame = undefined;
        setFollowed(current);
      });
    const take = (message: MessageEvent<string>) => {
      current = after(current, Number(message.lastEventId), JSON.parse(message.data));
      draw();
    };
    const listen = () => {
      const path = `/v1/runs/${encodeURIComponent(id)}/events?after=${current.last_event_id}`;
      source = new EventSource(addressOf(path));
      for (
        const type of ["state", "start", "step", "evaluation", "checkpoint", "download", "finish"]
      ) {
        source.addEventListener(type, take);
      }
      source.onerror = () => {
        // The stream of a run that is over ends; one that may go on is listened to again.
        source?.close();
        timer = setTimeout(load, RETRY_MS / 4);
      };
    };
    const load = async () => {
      clearTimeout(timer);
      try {
        const params = { path: { id }, query: { points: POINTS } };
        const { signal } = aborted;
        current = await answered(client.GET("/v1/runs/{id}/history", { params, signal }));
        if (signal.aborted) return;
        draw();
        if (!isOver(current)) listen();
        else timer = setTimeout(load, 5 * RETRY_MS);
      } catch {
        if (aborted.signal.aborted) return;
        watchForReturn();
        timer = setTimeout(load, RETRY_MS);
      }
    };
    void load();
    return () => {
      aborted.abort();
      source?.close();
      clearTimeout(timer);
      if (frame !== undefined) cancelAnimationFrame(frame);
    };
  }, [id, freshness.value]);
  return followed;
}

function isOver({ log }: FollowedRun): boolean {
  const state = log.findLast(({ event }) => event.type === "state")?.event;
  return state?.type === "state" && !["queued", "running", "lost"].includes(state.state);
}

/** Any event of a run, as its stream has it. */
type StreamedEvent =
  | { type: "step" } & Record<Column, number>
  | { type: "evaluation" } & FollowedRun["evaluations"][number]
  | FollowedRun["log"][number]["event"];

/** A run after one more event. */
export function after(before: FollowedRun, id: number, event: StreamedEvent): FollowedRun {
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
  // An attempt that goes on from a checkpoint does again the steps that came after it.
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
