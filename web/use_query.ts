/**
 * The data that a view asks the server for: once, or repeatedly while the view is shown.
 *
 * @module
 */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { freshness } from "./api.ts";

/** An answer that has come, is awaited, or has failed. */
export interface Query<Data> {
  data: Data | undefined;
  error: Error | undefined;
  /** Asks again at once. */
  reload: () => void;
}

/**
 * Asks for something, and again when the inputs change, the server comes back, or time has passed.
 *
 * @param load Sends the request; its signal aborts when the answer is no longer wanted.
 * @param inputs The values that the answer depends on.
 * @param intervalMs The time from an answer to the next request; without it there is none.
 */
export function useQuery<Data>(
  load: (signal: AbortSignal) => Promise<Data>,
  inputs: readonly unknown[],
  intervalMs?: number,
): Query<Data> {
  const [state, setState] = useState<{ key: string; data?: Data; error?: Error }>();
  const [count, setCount] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  const key = JSON.stringify(inputs);
  useEffect(() => {
    const aborted = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async () => {
      clearTimeout(timer);
      try {
        const data = await latest.current(aborted.signal);
        if (!aborted.signal.aborted) setState({ key, data });
      } catch (error) {
        if (aborted.signal.aborted) return;
        // Old data stay: a server that is gone for a moment empties no view.
        setState((before) => ({
          ...(before?.key === key ? before : {}),
          key,
          error: asError(error),
        }));
      }
      if (intervalMs !== undefined && !aborted.signal.aborted) timer = setTimeout(ask, intervalMs);
    };
    const onVisible = () => {
      if (document.visibilityState === "visible" && intervalMs !== undefined) void ask();
    };
    void ask();
    document.addEventListener("visibilitychange", onVisible);
    return () => {
      aborted.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, [key, count, intervalMs, freshness.value]);
  const reload = useCallback(() => setCount((before) => before + 1), []);
  const current = state?.key === key ? state : undefined;
  return { data: current?.data, error: current?.error, reload };
}

/** A thrown value as an error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
