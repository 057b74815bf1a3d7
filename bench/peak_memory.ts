/**
 * The peak memory of a process.
 *
 * @module
 */

const SAMPLE_MS = 10;

/** Samples the resident memory of this process every few milliseconds. */
export class PeakMemory implements Disposable {
  #bytes = 0;
  readonly #timer = setInterval(() => this.sample(), SAMPLE_MS);

  /** The peak so far. */
  get bytes(): number {
    this.sample();
    return this.#bytes;
  }

  /** The resident memory now. */
  sample(): number {
    const { rss } = Deno.memoryUsage();
    this.#bytes = Math.max(this.#bytes, rss);
    return rss;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
