/**
 * Finds the tokens that are taken out of a text whole, such as `[MASK]`, before the rest is split.
 *
 * @module
 */
import type { AddedTokenJson } from "../formats/tokenizer_json.ts";

/** A part of a text: one token, given by its id, or text that has yet to be split. */
export type Part = { id: number } | { text: string; start: number };

/** Splits a text at added tokens. */
export type TokenFinder = (text: string) => Part[];

const STARTS_WITH_WORD = /^[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const WHITE_SPACE = /\p{White_Space}/u;

/**
 * Makes a function that finds these tokens in a text: the first one, and the longest of those.
 *
 * @param contentOf Returns a token's form in the text.
 */
export function tokenFinder(
  tokens: readonly AddedTokenJson[],
  contentOf: (token: AddedTokenJson) => string = ({ content }) => content,
): TokenFinder {
  const byContent = new Map(tokens.map((token) => [contentOf(token), token]));
  byContent.delete("");
  if (byContent.size === 0) return (text) => text === "" ? [] : [{ text, start: 0 }];
  const contents = [...byContent.keys()].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(contents.map(RegExp.escape).join("|"), "gu");

  return (text) => {
    const parts: Part[] = [];
    let done = 0;
    const addText = (end: number) => {
      if (done < end) parts.push({ text: text.slice(done, end), start: done });
    };
    for (const match of text.matchAll(pattern)) {
      const token = byContent.get(match[0])!;
      let start = match.index;
      let end = start + match[0].length;
      // Spaces that a token took may have contained it.
      if (start < done) continue;
      if (token.single_word && !isSingleWord(text, start, end)) continue;
      if (token.lstrip) { while (start > done && WHITE_SPACE.test(text[start - 1]!)) start--; }
      if (token.rstrip) { while (end < text.length && WHITE_SPACE.test(text[end]!)) end++; }
      addText(start);
      parts.push({ id: token.id });
      done = end;
    }
    addText(text.length);
    return parts;
  };
}

function isSingleWord(text: string, start: number, end: number): boolean {
  // Two code units can hold any character.
  const before = Array.from(text.slice(Math.max(0, start - 2), start)).at(-1) ?? "";
  return !STARTS_WITH_WORD.test(before) && !STARTS_WITH_WORD.test(text.slice(end, end + 2));
}
