/**
 * N-grams of words and characters, as the hashes that a {@link Partner} uses.
 *
 * @module
 */
import { wordsOf } from "../../data/preparation/normalise.ts";

/** The n-grams of a text, each kind separately; a repeated one is listed again. */
export interface Ngrams {
  /** Hashes of words and of pairs of neighbouring words. */
  words: Uint32Array;
  /** Hashes of three to five characters within a word, with a space at each end. */
  characters: Uint32Array;
}

const SHORTEST = 3;
const LONGEST = 5;
const SPACE = 0x20;

/** The seed of the hashes of words: the two kinds must not share hashes. */
const WORD_SEED = 0x811c9dc5;
const CHARACTER_SEED = 0x5bd1e995;

/**
 * The n-grams of a text, regardless of case and punctuation.
 *
 * @param kinds The kinds to compute; the others stay empty.
 */
export function ngramsOf(
  text: string,
  kinds: { characters: boolean } = { characters: true },
): Ngrams {
  const words = wordsOf(text);
  return {
    words: wordNgrams(words),
    characters: kinds.characters ? characterNgrams(words) : new Uint32Array(),
  };
}

function wordNgrams(words: readonly string[]): Uint32Array {
  if (words.length === 0) return new Uint32Array();
  const hashes = new Uint32Array(2 * words.length - 1);
  let previous = 0;
  for (const [i, word] of words.entries()) {
    let hash = WORD_SEED;
    for (let j = 0; j < word.length; j++) hash = append(hash, word.charCodeAt(j));
    hashes[i] = mixed(hash);
    if (i > 0) {
      hashes[words.length + i - 1] = mixed(append(append(WORD_SEED, previous), hashes[i]!));
    }
    previous = hashes[i]!;
  }
  return hashes;
}

/** The n-grams of each word with a space at each end; a word that is shorter counts whole. */
function characterNgrams(words: readonly string[]): Uint32Array {
  const hashes: number[] = [];
  for (const word of words) {
    const length = word.length + 2;
    const at = (i: number) => i === 0 || i === length - 1 ? SPACE : word.charCodeAt(i - 1);
    for (let start = 0; start + SHORTEST <= length; start++) {
      let hash = CHARACTER_SEED;
      const end = Math.min(start + LONGEST, length);
      for (let i = start; i < end; i++) {
        hash = append(hash, at(i));
        if (i - start >= SHORTEST - 1) hashes.push(mixed(hash));
      }
    }
  }
  return Uint32Array.from(hashes);
}

/** A step of FNV-1a (Fowler, Noll and Vo), over units of 16 or 32 bits. */
function append(hash: number, unit: number): number {
  return Math.imul(hash ^ unit, 0x01000193);
}

/** Spreads all bits over all others: the finalizer of MurmurHash3 (Appleby, 2008). */
function mixed(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
