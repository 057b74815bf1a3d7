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
const ROWS_PER_BAND = 5;
const SEED = 1;
/** Texts that share a band are compared with so many of each set, lest a template cost a day. */
const MAX_COMPARISONS = 200;

/**
 * Says for each text in which sets it has a near duplicate, itself excepted. Candidates come from
 * MinHash signatures (Broder, 1997) cut into bands, as in Leskovec, Rajaraman and Ullman's "Mining
 * of Massive Datasets", chapter 3; each is checked, so that none is found that is not one. Where
 * very many texts share a band some may be missed.
 *
 * Case, spaces and punctuation do not count.
 *
 * @param texts Distinct texts.
 * @param sets In which sets each text stands, as bits.
 * @returns The sets, as bits, in which each text has a near duplicate.
 */
export function nearDuplicateSets(texts: readonly string[], sets: Uint8Array): Uint8Array {
  const shingles = texts.map(trigrams);
  const found = new Uint8Array(texts.length);
  for (const bucket of buckets(shingles)) {
    const bySets = Map.groupBy(bucket, (i) => sets[i]!);
    for (const i of bucket) {
      for (const [bits, others] of bySets) {
        if ((found[i]! | bits) === found[i]) continue;
        const near = others.slice(0, MAX_COMPARISONS).find((j) =>
          i !== j && jaccard(shingles[i]!, shingles[j]!) >= NEAR_THRESHOLD
        );
        if (near !== undefined) found[i]! |= bits;
      }
    }
  }
  return found;
}

/** Hashes of a text's distinct trigrams in ascending order; a shorter text is one shingle. */
function trigrams(text: string): Uint32Array {
  const key = duplicateKey(text);
  const hashes = new Set<number>();
  for (let i = 0; i < Math.max(1, key.length - 2); i++) {
    hashes.add(hash(key.charCodeAt(i), key.charCodeAt(i + 1) || 0, key.charCodeAt(i + 2) || 0));
  }
  return Uint32Array.from(hashes).sort();
}

/** Lists of texts that agree in all rows of a band. */
function* buckets(shingles: readonly Uint32Array[]): Generator<number[]> {
  const random = new Random(SEED);
  for (let band = 0; band < BANDS; band++) {
    const functions = Array.from({ length: ROWS_PER_BAND }, () => ({
      mask: random.integer(2 ** 31),
      factor: random.integer(2 ** 30) * 2 + 1,
    }));
    const byBand = Map.groupBy(
      shingles.keys(),
      (text) => functions.map((f) => smallestHash(shingles[text]!, f.mask, f.factor)).join(),
    );
    for (const texts of byBand.values()) if (texts.length > 1) yield texts;
  }
}

/** The smallest hash of a set under one of the hash functions. */
function smallestHash(shingles: Uint32Array, mask: number, factor: number): number {
  let smallest = 0xffffffff;
  for (let i = 0; i < shingles.length; i++) {
    const mixed = Math.imul(shingles[i]! ^ mask, factor);
    const value = (mixed ^ (mixed >>> 15)) >>> 0;
    if (value < smallest) smallest = value;
  }
  return smallest;
}

/** How much two ascending lists have in common: the size of the intersection over the union's. */
function jaccard(a: Uint32Array, b: Uint32Array): number {
  let common = 0;
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const difference = a[i]! - b[j]!;
    if (difference === 0) common++;
    if (difference > 0) j++;
    else i++;
  }
  return common / (a.length + b.length - common);
}
