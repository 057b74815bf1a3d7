/**
 * Seeded random numbers: the same seeds give the same numbers on every machine and back end.
 *
 * @module
 */
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { uniformInt } from "pure-rand/distribution/uniformInt";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";
import type { RandomGenerator } from "pure-rand/types/RandomGenerator";

/**
 * Mixes integers into one 32-bit unsigned integer (murmur3's finalizer after each), so that
 * neighbouring inputs, such as step 7 and step 8, give unrelated results.
 */
export function hash(...values: number[]): number {
  let state = 0x9e3779b9;
  for (const value of values) {
    state = (state ^ value) >>> 0;
    state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
    state = (state ^ (state >>> 16)) >>> 0;
  }
  return state;
}

/** A stream of random numbers that is a pure function of its seeds. */
export class Random {
  readonly #generator: RandomGenerator;

  /** @param seeds Determine the stream, for example the run's seed and the epoch. */
  constructor(...seeds: number[]) {
    this.#generator = xoroshiro128plus(hash(...seeds));
  }

  /** A number from [0, 1). */
  uniform(): number {
    return uniformFloat64(this.#generator);
  }

  /** An integer from 0 to `limit - 1`. */
  integer(limit: number): number {
    return uniformInt(this.#generator, 0, limit - 1);
  }

  /** A number from the standard normal distribution (Box and Muller, 1958). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Shuffles an array in place (Fisher and Yates) and returns it. */
  shuffle<Items extends { readonly length: number; [index: number]: unknown }>(
    items: Items,
  ): Items {
    for (let last = items.length - 1; last > 0; last--) {
      const other = this.integer(last + 1);
      [items[last], items[other]] = [items[other]!, items[last]!];
    }
    return items;
  }
}
