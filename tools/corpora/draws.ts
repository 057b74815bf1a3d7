/**
 * Random draws, the same on every run.
 *
 * @module
 */

/** An item, and its weight relative to the others. */
export type Weighted = [item: string, weight: number];

/** A stream of random numbers (mulberry32): fast, and good enough for mixing words. */
export class Draws {
  #state: number;

  /** @param seed Determines the stream. */
  constructor(seed: number) {
    this.#state = seed;
  }

  /** A number from [0, 1). */
  uniform(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer from 0 to `limit - 1`. */
  integer(limit: number): number {
    return Math.floor(this.uniform() * limit);
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.uniform() < probability;
  }

  /** One of the items, all equally likely. */
  pick<T>(items: T[]): T {
    return items[this.integer(items.length)]!;
  }

  /** A function that draws items by weight: a binary search in the running sums. */
  weighted(items: Weighted[]): () => string {
    const sums = new Float64Array(items.length);
    let sum = 0;
    items.forEach(([, weight], index) => (sums[index] = sum += weight));
    return () => {
      const target = this.uniform() * sum;
      let low = 0;
      let high = items.length - 1;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (sums[middle]! > target) high = middle;
        else low = middle + 1;
      }
      return items[low]![0];
    };
  }
}
