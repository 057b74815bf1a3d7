/**
 * Notices that a server says nothing any more.
 *
 * @module
 */

/** Aborts when it has not been restarted for a while. */
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

  /** Something has come. */
  restart(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(), this.#timeoutMs);
  }

  /** What is said of a server for which the time is up. */
  get message(): string {
    return `no answer for ${this.#timeoutMs / 1000} s`;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
