/**
 * Notices that another thread or process has gone silent.
 *
 * @module
 */

/** The number of checks within the time limit. */
const LOOKS = 20;
const MIN_INTERVAL_MS = 10;

/**
 * Measures how long a thread or process has been silent while this thread listened: time when this
 * thread was busy, stopped or asleep does not count.
 */
export class Watchdog implements Disposable {
  #ms = 0;
  #isListening = true;
  readonly #timer: ReturnType<typeof setInterval>;

  /** @param onTooLong Called once, after `timeoutMs` of silence. */
  constructor(timeoutMs: number, onTooLong: () => void) {
    const intervalMs = Math.max(MIN_INTERVAL_MS, timeoutMs / LOOKS);
    let lookedAt = performance.now();
    this.#timer = setInterval(() => {
      const now = performance.now();
      if (this.#isListening) this.#ms += Math.min(now - lookedAt, 2 * intervalMs);
      lookedAt = now;
      if (this.#ms < timeoutMs) return;
      clearInterval(this.#timer);
      onTooLong();
    }, intervalMs);
  }

  /** How long the silence has lasted. */
  get silentMs(): number {
    return this.#ms;
  }

  /** Starts over: something was heard. */
  reset(): void {
    this.#ms = 0;
  }

  /** Waits for work during which nothing can be heard. */
  async suspend(work: Promise<void>): Promise<void> {
    this.#isListening = false;
    await work;
    this.#isListening = true;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
