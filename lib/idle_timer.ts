/**
 * Notices that a server has gone silent.
 *
 * @module
 */

/** Aborts unless it is restarted in time. */
export class IdleTimer implements Disposable {
  readonly #timeoutMs: number;
  readonly #controller = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
    this.restart();
  }

  /** Aborts when the time is up. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Restarts the timer, as data has arrived. */
  restart(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(), this.#timeoutMs);
  }

  /** The message when the time is up. */
  get message(): string {
    return `no answer for ${this.#timeoutMs / 1000} s`;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
