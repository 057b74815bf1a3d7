/**
 * Splits cleaned texts into words, as Python's `tokenizers` does. JavaScript's library of that name
 * knows letters and digits of ASCII only in some of these, and keeps no behavior but one.
 *
 * @module
 */
import type { PreTokenizerJson, SplitBehavior } from "../formats/tokenizer_json.ts";
import { regExpOf } from "./patterns.ts";

/** A part of a text. */
export interface Piece {
  text: string;
  /** Whether the piece begins the text. */
  isFirst: boolean;
}

/** Splits parts of a text further. */
export type PreTokenizer = (pieces: Piece[]) => Piece[];

const PUNCTUATION = /[\p{P}!-\/:-@\[-`{-~]/gu;
/** BERT's words: each punctuation mark is one of its own. */
const BERT_WORDS = /[^\p{White_Space}\p{P}!-\/:-@\[-`{-~]+|[\p{P}!-\/:-@\[-`{-~]/gu;
const NO_SPACES = /\P{White_Space}+/gu;
const WORDS_AND_SIGNS =
  /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{White_Space}\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+/gu;
/** GPT-2's words, which together contain the whole text. */
const BYTE_LEVEL_WORDS =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** The character of each byte in byte-level vocabularies: its own where that is printable. */
const BYTE_CHARACTERS: readonly string[] = byteCharacters();

/** The function that a tokenizer's `pre_tokenizer` describes. */
export function preTokenizerOf(json: PreTokenizerJson | null): PreTokenizer {
  if (json === null) return (pieces) => pieces;
  switch (json.type) {
    case "Sequence": {
      const steps = json.pretokenizers.map(preTokenizerOf);
      return (pieces) => steps.reduce((split, step) => step(split), pieces);
    }
    case "BertPreTokenizer":
      return (pieces) => matchesIn(pieces, BERT_WORDS);
    case "WhitespaceSplit":
      return (pieces) => matchesIn(pieces, NO_SPACES);
    case "Whitespace":
      return (pieces) => matchesIn(pieces, WORDS_AND_SIGNS);
    case "Punctuation":
      return (pieces) => splitAt(pieces, PUNCTUATION, json.behavior);
    case "Digits": {
      const behavior = json.individual_digits ? "Isolated" : "Contiguous";
      return (pieces) => splitAt(pieces, /\p{N}/gu, behavior);
    }
    case "Split": {
      const pattern = regExpOf(json.pattern);
      return (pieces) => splitAt(pieces, pattern, json.behavior, json.invert);
    }
    case "ByteLevel":
      return (pieces) => {
        const prefixed = json.add_prefix_space
          ? pieces.map((piece) => withPrefix(piece, " "))
          : pieces;
        const words = json.use_regex ? matchesIn(prefixed, BYTE_LEVEL_WORDS) : prefixed;
        return words.map(({ text, isFirst }) => ({ text: asBytes(text), isFirst }));
      };
    case "Metaspace": {
      const { replacement, prepend_scheme, split } = json;
      const pattern = regExpOf({ String: replacement });
      return (pieces) => {
        const marked = pieces.map(({ text, isFirst }) => {
          const piece = { text: text.replaceAll(" ", () => replacement), isFirst };
          const isPrefixed = prepend_scheme === "always" || prepend_scheme === "first" && isFirst;
          return isPrefixed ? withPrefix(piece, replacement) : piece;
        });
        return split ? splitAt(marked, pattern, "MergedWithNext") : marked;
      };
    }
  }
}

/** Whether words end before a space that follows a non-space, whatever comes after it. */
export function splitsAtSpaces(json: PreTokenizerJson | null): boolean {
  switch (json?.type) {
    case "Sequence":
      return json.pretokenizers.some(splitsAtSpaces);
    case "BertPreTokenizer":
    case "WhitespaceSplit":
    case "Whitespace":
      return true;
    case "ByteLevel":
      return json.use_regex;
    case "Metaspace":
      return json.split;
    default:
      return false;
  }
}

function withPrefix(piece: Piece, prefix: string): Piece {
  const { text } = piece;
  return text === "" || text.startsWith(prefix) ? piece : { ...piece, text: prefix + text };
}

const encoder = new TextEncoder();

function asBytes(text: string): string {
  // Letters and digits are their own characters.
  if (/^[!-~]*$/.test(text)) return text;
  let characters = "";
  for (const byte of encoder.encode(text)) characters += BYTE_CHARACTERS[byte]!;
  return characters;
}

function byteCharacters(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const character = String.fromCharCode(byte);
    return /[!-~¡-¬®-ÿ]/.test(character) ? character : String.fromCharCode(next++);
  });
}

/** The matches of a pattern in each piece. */
function matchesIn(pieces: readonly Piece[], pattern: RegExp): Piece[] {
  return pieces.flatMap(({ text, isFirst }) =>
    (text.match(pattern) ?? []).map((match, i) => ({
      text: match,
      isFirst: isFirst && i === 0 && text.startsWith(match),
    }))
  );
}

/** Splits each piece at the matches of a pattern, or between them if `invert` is set. */
function splitAt(
  pieces: readonly Piece[],
  pattern: RegExp,
  behavior: SplitBehavior,
  invert = false,
): Piece[] {
  return pieces.flatMap((piece) => {
    const { text } = piece;
    const spans = spansOf(text, pattern, invert);
    const parts = behavior === "Removed" ? spans.filter(({ isMatch }) => !isMatch) : spans;
    const merged = behavior === "Removed" || behavior === "Isolated"
      ? parts
      : mergeSpans(parts, behavior);
    return merged.map(({ start, end }) => ({
      text: text.slice(start, end),
      isFirst: piece.isFirst && start === 0,
    }));
  });
}

interface Span {
  start: number;
  end: number;
  isMatch: boolean;
}

function spansOf(text: string, pattern: RegExp, invert: boolean): Span[] {
  const spans: Span[] = [];
  const add = (start: number, end: number, isMatch: boolean) => {
    if (start < end) spans.push({ start, end, isMatch: isMatch !== invert });
  };
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    add(end, match.index, false);
    end = match.index + match[0].length;
    add(match.index, end, true);
  }
  add(end, text.length, false);
  return spans;
}

function mergeSpans(
  spans: readonly Span[],
  behavior: Exclude<SplitBehavior, "Removed" | "Isolated">,
): Span[] {
  const merged: Span[] = [];
  let before: Span | undefined;
  for (const span of spans) {
    const joins = behavior === "Contiguous"
      ? before?.isMatch === span.isMatch
      : behavior === "MergedWithPrevious"
      ? span.isMatch && before?.isMatch === false
      : !span.isMatch && before?.isMatch === true;
    if (joins) merged.at(-1)!.end = span.end;
    else merged.push({ ...span });
    before = span;
  }
  return merged;
}
