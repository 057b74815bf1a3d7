/**
 * Finds texts that are almost the same.
 *
 * @module
 */
import { hash, Random } from "../../lib/random.ts";
import { duplicateKey } from "./normalise.ts";

/** Texts are near duplicates if their sets of character trigrams have this Jaccard similarity. */
export const NEAR_THRESHOLD = 0.8;

/** Pairs at the threshold share a band with probability 1 - (1 - 0.8 ** 5) ** 25 > 0.9999. */
const BANDS = 25;
const SEED = 1;
/** The texts of each set to compare with in a shared band, lest a template cost a day. */
const NEIGHBOURS = 8;

/**
 * Finds the sets in which each text has a near duplicate other than itself. Candidates come from
 * MinHash signatures (Broder, 1997) cut into bands, as in Leskovec, Rajaraman and Ullman's "Mining
 * of Massive Datasets", chapter 3; each is checked, so there are no false ones. If very many texts
 * share a band, those that also share the next one come first, and some may be missed.
 *
 * Case, spaces and punctuation are ignored. The time grows with the number and length of the texts,
 * not with the number of pairs.
 *
 * @param texts Distinct texts.
 * @param sets The sets that each text is in, as bits.
 * @returns The sets that have a near duplicate of each text, as bits.
 */
export function nearDuplicateSets(texts: readonly string[], sets: Uint8Array): Uint8Array {
  using shingles = new Shingles(texts);
  const found = new Uint8Array(texts.length);
  const compare = (a: number, b: number) => {
    const [foundOfA, foundOfB] = [found[a]! | sets[b]!, found[b]! | sets[a]!];
    if (foundOfA === found[a] && foundOfB === found[b] || !shingles.areNear(a, b)) return;
    found[a] = foundOfA;
    found[b] = foundOfB;
  };
  const first = bandHashes(shingles, 0);
  let hashes = first;
  for (let band = 0; band < BANDS; band++) {
    const next = band + 1 === BANDS ? first : bandHashes(shingles, band + 1);
    const order = sortedBy(hashes, withEqual(hashes));
    for (let start = 0, end: number; start < order.length; start = end) {
      const hash = hashes[order[start]!];
      for (end = start + 1; end < order.length && hashes[order[end]!] === hash; end++);
      const bucket = order.subarray(start, end);
      if (bucket.length > NEIGHBOURS) bucket.sort((a, b) => next[a]! - next[b]!);
      if (bucket.length > 1) compareNeighbours(bucket, sets, compare);
    }
    hashes = next;
  }
  return found;
}

/** Compares each text of a list with its neighbours there from each set. */
function compareNeighbours(
  bucket: Uint32Array,
  sets: Uint8Array,
  compare: (a: number, b: number) => void,
): void {
  if (bucket.length <= NEIGHBOURS) {
    for (const [i, text] of bucket.entries()) {
      for (let j = i + 1; j < bucket.length; j++) compare(text, bucket[j]!);
    }
    return;
  }
  for (const members of Map.groupBy(bucket, (text) => sets[text]!).values()) {
    const places = new Map(members.map((text, place) => [text, place]));
    let next = 0;
    for (const text of bucket) {
      const own = places.get(text);
      if (own !== undefined) next = own + 1;
      // A member is one of its own neighbours.
      const first = Math.max(0, Math.min(next - NEIGHBOURS / 2, members.length - NEIGHBOURS));
      for (const other of members.slice(first, first + NEIGHBOURS)) {
        if (other !== text) compare(text, other);
      }
    }
  }
}

/** The distinct trigrams of texts, hashed; a shorter text is one trigram. */
class Shingles implements Disposable {
  readonly count: number;
  /** The hashes of all texts in sequence, each text's in ascending order. */
  readonly #hashes: Uint32Array<ArrayBuffer>;
  /** The start of each text's hashes, and the end of the last text's. */
  readonly #starts: Uint32Array;

  constructor(texts: readonly string[]) {
    this.count = texts.length;
    this.#starts = new Uint32Array(texts.length + 1);
    // Memory that is not written to is not taken, and keys are rarely longer than their texts.
    let hashes = new Uint32Array(texts.reduce((sum, { length }) => sum + Math.max(1, length), 0));
    let end = 0;
    for (const [text, content] of texts.entries()) {
      const key = duplicateKey(content);
      const length = Math.max(1, key.length - 2);
      if (end + length > hashes.length) {
        const larger = new Uint32Array(2 * Math.max(hashes.length, length));
        larger.set(hashes);
        hashes = larger;
      }
      for (let i = 0; i < length; i++) {
        hashes[end + i] = hash(
          key.charCodeAt(i),
          key.charCodeAt(i + 1) || 0,
          key.charCodeAt(i + 2) || 0,
        );
      }
      end += distinct(hashes.subarray(end, end + length));
      this.#starts[text + 1] = end;
    }
    this.#hashes = hashes.subarray(0, end);
  }

  /** Gives the memory back at once: a garbage collector sees it late, as it is not in its heap. */
  [Symbol.dispose](): void {
    this.#hashes.buffer.transfer(0);
  }

  /**
   * A hash of the smallest values that some functions have on a text's set. All are found in one
   * pass, as the time goes into reading the set.
   */
  hashOfSmallest(text: number, [one, two, three, four, five]: BandFunctions): number {
    const hashes = this.#hashes;
    const end = this.#starts[text + 1]!;
    let [first, second, third, fourth, fifth] = [LARGEST, LARGEST, LARGEST, LARGEST, LARGEST];
    for (let i = this.#starts[text]!; i < end; i++) {
      const value = hashes[i]!;
      first = Math.min(first, Math.imul(value ^ one.mask, one.factor));
      second = Math.min(second, Math.imul(value ^ two.mask, two.factor));
      third = Math.min(third, Math.imul(value ^ three.mask, three.factor));
      fourth = Math.min(fourth, Math.imul(value ^ four.mask, four.factor));
      fifth = Math.min(fifth, Math.imul(value ^ five.mask, five.factor));
    }
    return hash(first, second, third, fourth, fifth);
  }

  /** Whether the intersection of two sets is large enough, compared with their union. */
  areNear(a: number, b: number): boolean {
    const hashes = this.#hashes;
    const [endOfA, endOfB] = [this.#starts[a + 1]!, this.#starts[b + 1]!];
    let [i, j] = [this.#starts[a]!, this.#starts[b]!];
    const total = endOfA - i + endOfB - j;
    // The most elements of one set alone that the threshold allows.
    let left = total - 2 * Math.ceil(total * NEAR_THRESHOLD / (1 + NEAR_THRESHOLD) - 1e-9);
    while (i < endOfA && j < endOfB) {
      const difference = hashes[i]! - hashes[j]!;
      if (difference !== 0 && --left < 0) return false;
      if (difference <= 0) i++;
      if (difference >= 0) j++;
    }
    return left - (endOfA - i) - (endOfB - j) >= 0;
  }
}

/** Sorts numbers and moves the distinct ones to the front; returns how many there are. */
function distinct(numbers: Uint32Array): number {
  numbers.sort();
  let count = 1;
  for (let i = 1; i < numbers.length; i++) {
    if (numbers[i] !== numbers[count - 1]) numbers[count++] = numbers[i]!;
  }
  return count;
}

/** A function from hashes to numbers of 32 bits: the product of an odd factor and the masked hash. */
interface HashFunction {
  mask: number;
  factor: number;
}

/** The functions of a band. */
type BandFunctions = [HashFunction, HashFunction, HashFunction, HashFunction, HashFunction];

/** The largest number of 32 bits. */
const LARGEST = 2 ** 31 - 1;

/** The hash of each text's rows in a band. */
function bandHashes(shingles: Shingles, band: number): Uint32Array {
  const random = new Random(SEED, band);
  const next = () => ({ mask: random.integer(2 ** 31), factor: random.integer(2 ** 30) * 2 + 1 });
  const functions: BandFunctions = [next(), next(), next(), next(), next()];
  const hashes = new Uint32Array(shingles.count);
  for (let text = 0; text < hashes.length; text++) {
    hashes[text] = shingles.hashOfSmallest(text, functions);
  }
  return hashes;
}

/** The indices of numbers that occur more than once, and of some others. */
function withEqual(numbers: Uint32Array): Uint32Array {
  // Few different numbers share a place.
  const last = 2 ** Math.ceil(Math.log2(4 * numbers.length + 1)) - 1;
  const counts = new Uint8Array(last + 1);
  for (const number of numbers) if (counts[number & last]! < 2) counts[number & last]!++;
  const found = new Uint32Array(numbers.length);
  let count = 0;
  for (let i = 0; i < numbers.length; i++) if (counts[numbers[i]! & last] === 2) found[count++] = i;
  return found.subarray(0, count);
}

const DIGIT_BITS = 11;

/** Sorts indices of numbers by these, by a stable radix sort. */
function sortedBy(numbers: Uint32Array, indices: Uint32Array): Uint32Array {
  let order = indices;
  for (let shift = 0; shift < 32; shift += DIGIT_BITS) {
    const starts = new Uint32Array(2 ** DIGIT_BITS + 1);
    const digitOf = (index: number) => (numbers[index]! >>> shift) & (2 ** DIGIT_BITS - 1);
    for (const index of order) starts[digitOf(index) + 1]!++;
    for (let digit = 0; digit < 2 ** DIGIT_BITS; digit++) starts[digit + 1]! += starts[digit]!;
    const sorted = new Uint32Array(order.length);
    for (const index of order) sorted[starts[digitOf(index)]!++] = index;
    order = sorted;
  }
  return order;
}
