/**
 * The regular expressions of a tokenizer's file. They come from strangers, and one that backtracks
 * without end would stop a server at a text of thirty letters, so only bounded ones are run.
 *
 * @module
 */
import { SplitPreTokenizer } from "@huggingface/tokenizers";
import type { Pattern } from "../formats/tokenizer_json.ts";

/** A repetition whose count is small enough to be tried at each place of a text. */
const QUANTIFIER = String.raw`(?:[+*?]|\{\d{1,2}(?:,\d{0,2})?\})?`;
const ESCAPE = String.raw`\\(?:[pP]\{\w{1,30}\}|[dDsSwWnrtfv]|[^\w\s])`;
const CLASS = String.raw`\[\^?(?:${ESCAPE}|[^\\\[\]&])+\]`;
const CHARACTER = String.raw`[^\\\[\](){}|+*?.^$]`;

/** Alternatives of one repeated character each, as `\s{2,}|[\n\r\t]`, which cannot backtrack. */
const SIMPLE = new RegExp(
  `^(?:(?:${ESCAPE}|${CLASS}|${CHARACTER})${QUANTIFIER}(?:\\||$))+(?<!\\|)$`,
  "u",
);

/** The patterns of well-known byte-level tokenizers: GPT-2's, Llama 3's and Qwen 2's. */
const WELL_KNOWN = new Set([
  String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
  String
    .raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  String
    .raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
]);

/** Whether a pattern's time is bounded by the length of the text. */
export function isBounded(pattern: Pattern): boolean {
  return pattern.Regex === undefined || WELL_KNOWN.has(pattern.Regex) || SIMPLE.test(pattern.Regex);
}

/**
 * A pattern as JavaScript's regular expression, which finds all that Python's finds. Its character
 * classes are Unicode's, as in Oniguruma, which Python's `tokenizers` uses.
 *
 * @throws {SyntaxError} If it is not a regular expression.
 */
export function regExpOf(pattern: Pattern): RegExp {
  const { pattern: regExp } = new SplitPreTokenizer({
    type: "Split",
    pattern: pattern.Regex === undefined ? { String: pattern.String! } : { Regex: pattern.Regex },
    behavior: "Isolated",
    invert: true,
  });
  return regExp!;
}
