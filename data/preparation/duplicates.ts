/**
 * Numbers texts so that those that differ only in case, spaces and punctuation share one, in a few
 * bytes each.
 *
 * @module
 */
import { duplicateKey, wordsOf } from "./normalise.ts";

/** Numbers texts from 0 in order of appearance; those of one {@link duplicateKey} share a number. */
export class DuplicateNumbers {
  /** A hash table with open addressing: digests by place, and the numbers that they have. */
  #digests = new Float64Array(2 ** 10).fill(-1);
  #numbers = new Uint32Array(2 ** 10);
  #size = 0;

  /** The number of a text. */
  of(text: string): number {
    if (2 * this.#size >= this.#digests.length) this.#grow();
    const digest = duplicateDigest(text);
    const place = this.#placeOf(digest);
    if (this.#digests[place] === digest) return this.#numbers[place]!;
    this.#digests[place] = digest;
    return this.#numbers[place] = this.#size++;
  }

  /** The number of different texts. */
  get size(): number {
    return this.#size;
  }

  /** The place of a digest, or a free one for it. */
  #placeOf(digest: number): number {
    const last = this.#digests.length - 1;
    let place = digest & last;
    while (this.#digests[place] !== digest && this.#digests[place] !== -1) {
      place = (place + 1) & last;
    }
    return place;
  }

  #grow(): void {
    const [digests, numbers] = [this.#digests, this.#numbers];
    this.#digests = new Float64Array(2 * digests.length).fill(-1);
    this.#numbers = new Uint32Array(2 * digests.length);
    for (let i = 0; i < digests.length; i++) {
      if (digests[i] === -1) continue;
      const place = this.#placeOf(digests[i]!);
      this.#digests[place] = digests[i]!;
      this.#numbers[place] = numbers[i]!;
    }
  }
}

/** The byte as which each byte of UTF-8 counts: letters of ASCII in lower case, 0 between words. */
const WORD_BYTES = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 0x80) return byte;
  const character = String.fromCharCode(byte).toLowerCase();
  return /[a-z0-9]/.test(character) ? character.charCodeAt(0) : 0;
});
const BETWEEN_WORDS = 0;

const encoder = new TextEncoder();
let buffer = new Uint8Array(2 ** 16);

/**
 * A number of 53 bits that is the same for texts of one {@link duplicateKey}. Among a million texts
 * two others share one by chance once in ten thousand times.
 */
export function duplicateDigest(text: string): number {
  const length = encode(text);
  const isAscii = length === text.length;
  // The key of a text in ASCII need not be built.
  if (isAscii && hasWord(buffer, length)) return wordsDigest(buffer, length);
  const isInWords = wordsOf(text).length > 0;
  const keyLength = encode(duplicateKey(text));
  return isInWords ? wordsDigest(buffer, keyLength) : bytesDigest(buffer, keyLength);
}

function hasWord(bytes: Uint8Array, length: number): boolean {
  for (let i = 0; i < length; i++) if (WORD_BYTES[bytes[i]!] !== BETWEEN_WORDS) return true;
  return false;
}

/** Writes a text into the buffer as UTF-8. */
function encode(text: string): number {
  const most = 3 * text.length;
  if (buffer.length < most) buffer = new Uint8Array(most);
  return encoder.encodeInto(text, buffer).written;
}

const FIRST_FACTOR = 0x9e3779b1;
const SECOND_FACTOR = 0x85ebca77;

/** The digest of the words alone; what stands between two counts as one byte. */
function wordsDigest(bytes: Uint8Array, length: number): number {
  let first = 1;
  let second = 2;
  let before = BETWEEN_WORDS;
  for (let i = 0; i <= length; i++) {
    const byte = i === length ? BETWEEN_WORDS : WORD_BYTES[bytes[i]!]!;
    if ((byte | before) !== BETWEEN_WORDS) {
      first = Math.imul(first ^ byte, FIRST_FACTOR);
      first ^= first >>> 15;
      second = (Math.imul(second ^ byte, SECOND_FACTOR) + first) | 0;
    }
    before = byte;
  }
  return joined(first, second);
}

/** The digest of every byte. */
function bytesDigest(bytes: Uint8Array, length: number): number {
  let first = 3;
  let second = 4;
  for (let i = 0; i < length; i++) {
    first = Math.imul(first ^ bytes[i]!, FIRST_FACTOR);
    first ^= first >>> 15;
    second = (Math.imul(second ^ bytes[i]!, SECOND_FACTOR) + first) | 0;
  }
  return joined(first, second);
}

/** 32 bits of the first and 21 of the second as a number that is exact. */
function joined(first: number, second: number): number {
  return (second >>> 11) * 2 ** 32 + (first >>> 0);
}
