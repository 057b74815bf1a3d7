/**
 * Patience with a store that cannot write for a while.
 *
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import { isDiskFull } from "../lib/files.ts";
import { StoreTimeoutError } from "./store.ts";

/** The longest pause before a change of the state that found the disk full is tried again. */
const MAX_PAUSE_MS = 10_000;

/**
 * Runs an operation of the store, and retries it while the disk is full or the store does not
 * answer, so that the outcome of a run is not lost.
 *
 * @param signal Ends the patience: the next failure is thrown.
 */
export async function retry<Result>(
  operation: () => Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  for (let pauseMs = 500;; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
    try {
      return await operation();
    } catch (error) {
      const mayPass = isDiskFull(error) || error instanceof StoreTimeoutError;
      if (!mayPass || signal.aborted) throw error;
      console.error(`${(error as Error).message}; it is tried again in ${pauseMs / 1000} s`);
    }
    await pause(pauseMs, undefined, { signal }).catch(() => {});
  }
}
