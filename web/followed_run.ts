/**
 * A live run: its history, then every event of its stream.
 *
 * @module
 */
import { useEffect, useState } from "preact/hooks";
import { after, EMPTY, POINTS } from "./run_so_far.ts";
import { addressOf, answered, client, freshness, type RunHistory } from "./api.ts";

/** A run so far. */
export type FollowedRun = RunHistory;

const RETRY_MS = 1000;
const LOOK_AGAIN_MS = 3000;

/** Follows a run until it is over; events between two frames of the screen are drawn together. */
export function useFollowedRun(id: string): FollowedRun {
  const [followed, setFollowed] = useState(EMPTY);
  useEffect(() => {
    let source: EventSource | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
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
        // The stream of a finished run ends; that of another is opened again.
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
        if (current.is_live) listen();
        // Another may go on with it, and one of the command line has no stream.
        else timer = setTimeout(load, LOOK_AGAIN_MS);
      } catch {
        if (aborted.signal.aborted) return;
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
