/**
 * Numbers texts so that those that differ only in case, spaces and punctuation share one, in a few
 * bytes each.
 *
 * @module
 */
import { duplicateKey, wordsOf } from "./normalise.ts";

/** Numbers texts from 0 in order of appearance; those of one {@link duplicateKey} share a number. */
export class DuplicateNumbers {
  readonly #numbers = new Map<number, number>();

  /** The number of a text. */
  of(text: string): number {
    const digest = duplicateDigest(text);
    const number = this.#numbers.get(digest) ?? this.#numbers.size;
    if (number === this.#numbers.size) this.#numbers.set(digest, number);
    return number;
  }

  /** How many different texts there are. */
  get size(): number {
    return this.#numbers.size;
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
  if (isAscii && buffer.subarray(0, length).some((byte) => WORD_BYTES[byte] !== BETWEEN_WORDS)) {
    return wordsDigest(buffer, length);
  }
  const isInWords = wordsOf(text).length > 0;
  const keyLength = encode(duplicateKey(text));
  return isInWords ? wordsDigest(buffer, keyLength) : bytesDigest(buffer, keyLength);
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
