/**
 * Ctrl-C and SIGTERM as requests to stop.
 *
 * @module
 */

/** A second press within this time is the first one, passed on by `deno task`. */
const SAME_PRESS_MS = 500;

/** The shell's exit codes for signals: 128 plus the signal's number. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;
type Signal = keyof typeof EXIT_CODES;

/** Listens for signals until it is disposed of. */
export class Interruption implements Disposable {
  /** The exit code of the process after a signal; 0 before. */
  exitCode = 0;
  readonly #controller = new AbortController();
  readonly #listeners: [Signal, () => void][] = [];
  #firstAt = 0;

  /** @param message Shown to the user at the first signal; the second ends the process. */
  constructor(message: string) {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      const listener = () => this.#take(signal, message);
      Deno.addSignalListener(signal, listener);
      this.#listeners.push([signal, listener]);
    }
  }

  /** Aborts at the first signal. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  [Symbol.dispose](): void {
    for (const [signal, listener] of this.#listeners) Deno.removeSignalListener(signal, listener);
  }

  #take(signal: Signal, message: string): void {
    this.exitCode = EXIT_CODES[signal];
    if (!this.signal.aborted) {
      this.#firstAt = performance.now();
      console.error(`\n${message}`);
      this.#controller.abort();
    } else if (performance.now() - this.#firstAt > SAME_PRESS_MS) {
      Deno.exit(this.exitCode);
    }
  }
}
