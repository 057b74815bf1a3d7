/**
 * What a view asks the server for: once, or again and again while somebody looks.
 *
 * @module
 */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { freshness } from "./api.ts";

/** An answer that is there, is awaited, or did not come. */
export interface Asked<Data> {
  data: Data | undefined;
  error: Error | undefined;
  /** Asks again at once. */
  reload: () => void;
}

/**
 * Asks for something, again where the inputs change, the server comes back, or time has passed.
 *
 * @param load What asks; its signal aborts when nobody waits any more.
 * @param inputs What the answer depends on.
 * @param intervalMs How long after an answer to ask again; without it, not.
 */
export function useAsked<Data>(
  load: (signal: AbortSignal) => Promise<Data>,
  inputs: readonly unknown[],
  intervalMs?: number,
): Asked<Data> {
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
        // What was there stays: a server that is gone for a moment empties no view.
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

/** Whatever was thrown, as an error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
