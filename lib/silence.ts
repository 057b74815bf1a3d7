/**
 * Notices that somebody says nothing any more, who works beside this thread.
 *
 * @module
 */

/** Looks so often at how long it has been. */
const LOOKS = 20;
const MIN_INTERVAL_MS = 10;

/**
 * Counts how long somebody has been silent while this thread listened: where it was busy, stopped or
 * asleep itself, it has heard nothing of what was said.
 */
export class Silence implements Disposable {
  #ms = 0;
  #isListening = true;
  readonly #timer: ReturnType<typeof setInterval>;

  /** @param onTooLong Called once, when it has lasted for so long. */
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

  /** How long it has lasted. */
  get ms(): number {
    return this.#ms;
  }

  /** Something was said. */
  interrupt(): void {
    this.#ms = 0;
  }

  /** Waits for something during which nothing is heard. */
  async suspend(work: Promise<void>): Promise<void> {
    this.#isListening = false;
    await work;
    this.#isListening = true;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
