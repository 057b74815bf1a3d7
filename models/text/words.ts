/**
 * The words of a text, with the tokens of each.
 *
 * @module
 */
import type { Tokenizer } from "./tokenizer.ts";

/** A word of a text, and its tokens. */
export interface Word {
  word: string;
  /** The place of the word in the text, in UTF-16 units. */
  start: number;
  /** The index of the word's first token among those of the text. */
  firstToken: number;
  /** The index after its last token; equal to `firstToken` if the word was cut away. */
  endToken: number;
}

/** A text as tokens and words. */
export interface TokenizedText {
  ids: readonly number[];
  words: readonly Word[];
  /** Whether the end of the text was cut away. */
  truncated: boolean;
}

/** Cuts a text into tokens, and finds the word of each; its time grows with the square. */
export function tokenizedText(
  tokenizer: Pick<Tokenizer, "countTokens" | "encode" | "encodeWhole" | "specialTokenCount">,
  text: string,
): TokenizedText {
  const { specialTokenCount } = tokenizer;
  const { ids, truncated } = tokenizer.encode(text);
  const frame = tokenizer.encodeWhole("");
  let first = 0;
  while (first < frame.length && frame[first] === ids[first]) first++;
  const last = first + ids.length - specialTokenCount;
  const segments = [...new Intl.Segmenter(undefined, { granularity: "word" }).segment(text)]
    .filter(({ segment }) => segment.trim() !== "");
  // Tokenizers do not give the place of a token in the text: the tokens that a longer beginning of
  // the text adds are those of its last word.
  let firstToken = first;
  const words = segments.map(({ segment: word, index: start }) => {
    const beginning = text.slice(0, start + word.length);
    const endToken = firstToken === last
      ? last
      : Math.min(last, first + tokenizer.countTokens(beginning) - specialTokenCount);
    const found = { word, start, firstToken, endToken: Math.max(firstToken, endToken) };
    firstToken = found.endToken;
    return found;
  });
  return { ids, words, truncated };
}
