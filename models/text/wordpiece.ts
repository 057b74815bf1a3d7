/**
 * Learns a WordPiece vocabulary from texts.
 *
 * @module
 */
import TinyQueue from "tinyqueue";
import { UserError } from "../../lib/user_error.ts";
import {
  CONTINUATION_PREFIX,
  normalizerJson,
  SPECIAL_TOKENS,
  tokenIds,
} from "../formats/tokenizer_files.ts";
import { normalizerOf } from "./normalizers.ts";
import { preTokenizerOf } from "./pre_tokenizers.ts";
import { remembered } from "./remembered.ts";

/** Options of {@linkcode learnVocabulary}. */
export interface LearnVocabularyOptions {
  /** The most tokens to learn, the five special tokens and the alphabet included. */
  vocabularySize: number;
  /** How often two neighbouring tokens must occur to be merged into one. Defaults to 2. */
  minFrequency?: number;
  /**
   * The most characters to keep. The rarest are dropped, and words that hold them are encoded as
   * `[UNK]`. Defaults to 1000.
   */
  limitAlphabet?: number;
  /** Whether to lowercase the texts and strip their accents. Defaults to true. */
  lowercase?: boolean;
}

/**
 * Learns a WordPiece vocabulary from texts.
 *
 * Every word starts as its characters, those after the first prefixed with `##`. The most frequent
 * pair of neighbouring tokens is then merged into a new token, over and over, until the vocabulary
 * is full or no pair is frequent enough. WordPiece is due to Schuster and Nakajima (2012); merging
 * by plain frequency follows Sennrich et al. (2016), as the `WordPieceTrainer` of Hugging Face
 * `tokenizers` does.
 *
 * The result depends on how often each word occurs, not on the order of the texts, unless they hold
 * more distinct words than a {@linkcode WordCounter} keeps. Of equally frequent pairs, the one with
 * the smaller first id, then the smaller second id, is merged first. Of equally frequent characters,
 * the one with the larger code point is dropped first.
 *
 * @param texts The texts to learn from, read once.
 * @returns The tokens in id order: the special tokens `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]` and
 * `[MASK]`, the characters, the characters that continue a word, both by code point, then the
 * merged tokens as learned. Texts without words give the special tokens only.
 * @throws {RangeError} If an option is not an integer or too small.
 * @throws {UserError} If `vocabularySize` cannot hold the special tokens and the alphabet, for which
 * `5 + 2 * limitAlphabet` always suffices.
 */
export function learnVocabulary(
  texts: Iterable<string>,
  options: LearnVocabularyOptions,
): string[] {
  const counter = new WordCounter(options);
  for (const text of texts) counter.add(text);
  return vocabularyOf(counter.counts, options);
}

/** Learns like {@linkcode learnVocabulary}, from words counted by a {@linkcode WordCounter}. */
export function vocabularyOf(
  wordCounts: ReadonlyMap<string, number>,
  options: Omit<LearnVocabularyOptions, "lowercase">,
): string[] {
  const { vocabularySize, minFrequency = 2, limitAlphabet = 1000 } = options;
  requireInteger("vocabularySize", vocabularySize, SPECIAL_TOKENS.length + 1);
  requireInteger("minFrequency", minFrequency, 1);
  requireInteger("limitAlphabet", limitAlphabet, 1);

  const tokens = [...SPECIAL_TOKENS, ...selectAlphabet(wordCounts, limitAlphabet)];
  if (tokens.length > vocabularySize) {
    throw new UserError(
      `Cannot learn a vocabulary of ${vocabularySize} tokens: the special tokens and the texts' ` +
        `alphabet take ${tokens.length}`,
    );
  }

  const ids = tokenIds(tokens);
  const pairs = new PairQueue(minFrequency);
  for (const [word, count] of wordCounts) pairs.addWord({ ids: characterIds(word, ids), count });
  while (tokens.length < vocabularySize) {
    const pair = pairs.next();
    if (pair === undefined) break;
    // The token is new: as the characters of a token are merged in the same order wherever they
    // occur, no other pair gives the same one. For the same reason a merged pair never comes back.
    pairs.merge(pair, tokens.length);
    tokens.push(mergeTokens(tokens[pair.left]!, tokens[pair.right]!));
  }
  return tokens;
}

function requireInteger(name: string, value: number, minimum: number): void {
  if (!Number.isInteger(value)) {
    throw new RangeError(`Cannot learn a vocabulary: '${name}' must be an integer, got ${value}`);
  }
  if (value < minimum) {
    throw new RangeError(
      `Cannot learn a vocabulary: '${name}' must be at least ${minimum}, got ${value}`,
    );
  }
}

/** Settings of {@linkcode WordCounter}. */
export interface WordCounterOptions {
  /** Whether to lowercase the texts and strip their accents. Defaults to true. */
  lowercase?: boolean;
  /** The most distinct words to keep at a time. Defaults to 2^21. */
  maxWords?: number;
}

/** The most parts of texts between spaces whose words are remembered. */
const REMEMBERED_PARTS = 2 ** 18;

/**
 * Counts the words of texts that come one at a time, in memory that does not grow with them.
 *
 * When there are more distinct words than it keeps, it forgets the rarest until at most half are
 * left. A rare word is then counted anew if it comes again, so that its count may be too low; a word
 * that is frequent all along keeps its own.
 */
export class WordCounter {
  /** How often each word has occurred. */
  readonly counts = new Map<string, number>();
  readonly #maxWords: number;
  /** The words of a part of a text between spaces. */
  readonly #wordsOf: (part: string) => readonly string[];

  constructor({ lowercase = true, maxWords = 2 ** 21 }: WordCounterOptions = {}) {
    this.#maxWords = maxWords;
    const normalize = normalizerOf(normalizerJson({ lowercase }));
    const preTokenize = preTokenizerOf({ type: "BertPreTokenizer" });
    this.#wordsOf = remembered(
      (part) => preTokenize([{ text: normalize(part), isFirst: true }]).map(({ text }) => text),
      REMEMBERED_PARTS,
    );
  }

  /** Counts the words of a text. */
  add(text: string): void {
    for (const part of text.split(" ")) {
      for (const word of this.#wordsOf(part)) {
        addCount(this.counts, word, 1);
        if (this.counts.size > this.#maxWords) this.#forgetRarest();
      }
    }
  }

  #forgetRarest(): void {
    for (let rarest = 1; this.counts.size > this.#maxWords / 2; rarest++) {
      for (const [word, count] of this.counts) {
        if (count === rarest) this.counts.delete(word);
      }
    }
  }
}

function addCount(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count);
}

/** The tokens of one character: those that start a word, then those that continue one. */
function selectAlphabet(wordCounts: ReadonlyMap<string, number>, limitAlphabet: number): string[] {
  const counts = new Map<string, number>();
  const seen = new Set<string>();
  for (const [word, count] of wordCounts) {
    for (const character of word) addCount(counts, character, count);
    for (const token of characterTokens(word)) seen.add(token);
  }
  const characters = [...counts]
    .sort(([one, oneCount], [other, otherCount]) =>
      otherCount - oneCount || compareCodePoints(one, other)
    )
    .slice(0, limitAlphabet)
    .map(([character]) => character)
    .sort(compareCodePoints);
  // A later text may start a word with any of them, so each has a token of its own. Only those seen
  // inside words also have one with the prefix. Hugging Face's trainer does the same.
  return [...characters, ...characters.map(continuation).filter((token) => seen.has(token))];
}

/** Splits a word into the tokens of its characters. */
function characterTokens(word: string): string[] {
  return [...word].map((character, index) => index === 0 ? character : continuation(character));
}

function continuation(character: string): string {
  return CONTINUATION_PREFIX + character;
}

function compareCodePoints(one: string, other: string): number {
  return one.codePointAt(0)! - other.codePointAt(0)!;
}

/** The ids of a word's characters. Characters outside the alphabet are left out. */
function characterIds(word: string, ids: ReadonlyMap<string, number>): number[] {
  return characterTokens(word).map((token) => ids.get(token)).filter((id) => id !== undefined);
}

function mergeTokens(left: string, right: string): string {
  return left + right.slice(CONTINUATION_PREFIX.length);
}

/** A word of the texts as the ids of its current tokens. */
interface Word {
  readonly ids: number[];
  /** How often the texts hold the word. */
  readonly count: number;
}

/** Two tokens that are neighbours somewhere in the texts. */
interface Pair {
  readonly left: number;
  readonly right: number;
  /** How often the pair occurs in the texts. */
  count: number;
  /** The words that hold the pair, and possibly some that no longer do. */
  readonly words: Set<Word>;
}

/** A pair with its count at the time it was queued. */
interface QueuedPair {
  readonly pair: Pair;
  readonly count: number;
}

function compareQueuedPairs(one: QueuedPair, other: QueuedPair): number {
  return other.count - one.count || one.pair.left - other.pair.left ||
    one.pair.right - other.pair.right;
}

/** Gives the pairs of neighbouring tokens, most frequent first, while merges change them. */
class PairQueue {
  readonly #minFrequency: number;
  /** The pairs by their left id, then by their right id. */
  readonly #pairs = new Map<number, Map<number, Pair>>();
  readonly #queue = new TinyQueue<QueuedPair>([], compareQueuedPairs);
  /** The pairs that are not queued yet. Once queued, a pair only loses occurrences. */
  readonly #unqueued = new Set<Pair>();

  constructor(minFrequency: number) {
    this.#minFrequency = minFrequency;
  }

  /** Counts the pairs of a word. */
  addWord(word: Word): void {
    for (let index = 0; index + 1 < word.ids.length; index++) {
      this.#addOccurrence(word.ids[index]!, word.ids[index + 1]!, word);
    }
  }

  /** Takes the most frequent pair out, or gives undefined if none is frequent enough. */
  next(): Pair | undefined {
    for (const pair of this.#unqueued) this.#enqueue(pair);
    this.#unqueued.clear();
    for (let queued = this.#queue.pop(); queued; queued = this.#queue.pop()) {
      const { pair, count } = queued;
      if (count === pair.count) return pair;
      this.#enqueue(pair);
    }
    return undefined;
  }

  /** Replaces a pair with the merged token in all words. */
  merge(pair: Pair, merged: number): void {
    for (const word of pair.words) this.#mergeInWord(word, pair, merged);
    this.#pairs.get(pair.left)!.delete(pair.right);
  }

  #mergeInWord(word: Word, { left, right }: Pair, merged: number): void {
    const { ids } = word;
    for (let index = 0; index + 1 < ids.length; index++) {
      if (ids[index] !== left || ids[index + 1] !== right) continue;
      const before = ids[index - 1];
      const after = ids[index + 2];
      ids.splice(index, 2, merged);
      if (before !== undefined) {
        this.#removeOccurrence(before, left, word);
        this.#addOccurrence(before, merged, word);
      }
      if (after !== undefined) {
        this.#removeOccurrence(right, after, word);
        this.#addOccurrence(merged, after, word);
      }
    }
  }

  #addOccurrence(left: number, right: number, word: Word): void {
    let pairs = this.#pairs.get(left);
    if (pairs === undefined) this.#pairs.set(left, pairs = new Map());
    let pair = pairs.get(right);
    if (pair === undefined) {
      pair = { left, right, count: 0, words: new Set() };
      pairs.set(right, pair);
      this.#unqueued.add(pair);
    }
    pair.count += word.count;
    pair.words.add(word);
  }

  #removeOccurrence(left: number, right: number, word: Word): void {
    this.#pairs.get(left)!.get(right)!.count -= word.count;
  }

  #enqueue(pair: Pair): void {
    if (pair.count >= this.#minFrequency) this.#queue.push({ pair, count: pair.count });
  }
}
