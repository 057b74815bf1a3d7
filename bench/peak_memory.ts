/**
 * The most memory that a process takes.
 *
 * @module
 */

const SAMPLE_MS = 10;

/** Looks at what is resident of this process, every few milliseconds. */
export class PeakMemory implements Disposable {
  #bytes = 0;
  readonly #timer = setInterval(() => this.sample(), SAMPLE_MS);

  /** The most so far. */
  get bytes(): number {
    this.sample();
    return this.#bytes;
  }

  /** What is resident now. */
  sample(): number {
    const { rss } = Deno.memoryUsage();
    this.#bytes = Math.max(this.#bytes, rss);
    return rss;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
