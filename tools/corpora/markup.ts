/**
 * Text from markup and source code.
 *
 * @module
 */
import { captures } from "./text.ts";

const ENTITIES = new Map(Object.entries({
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: " ",
  mdash: " - ",
  ndash: "-",
  hellip: "...",
  ldquo: '"',
  rdquo: '"',
  lsquo: "'",
  rsquo: "'",
  eacute: "é",
  egrave: "è",
  ouml: "ö",
  uuml: "ü",
  auml: "ä",
  ccedil: "ç",
  ntilde: "ñ",
  aacute: "á",
  oacute: "ó",
}));

const LAST_CODE_POINT = 0x10ffff;

const BLOCK_TAG =
  /<\/?(p|div|li|ul|ol|dd|dt|dl|h\d|br|hr|tr|td|blockquote|title|item|section|note|steps|list)\b[^>]*>/gi;

/** Replaces character references such as `&amp;` and `&#8212;`; unknown ones stay. */
export function unescapeEntities(text: string): string {
  return text
    .replace(/&#x([0-9a-f]+);/gi, (reference, hex: string) => character(`0x${hex}`) ?? reference)
    .replace(/&#(\d+);/g, (reference, decimal: string) => character(decimal) ?? reference)
    .replace(/&(\w+);/g, (reference: string, name: string) => ENTITIES.get(name) ?? reference);
}

function character(codePoint: string): string | undefined {
  return Number(codePoint) > LAST_CODE_POINT ? undefined : String.fromCodePoint(Number(codePoint));
}

/**
 * Paragraphs of HTML or XML.
 *
 * @param markup The document.
 * @param skip The elements to leave out with their content, joined by `|`.
 */
export function markupParagraphs(
  markup: string,
  skip = "script|style|pre|head|table",
): string[] {
  return markup
    .replace(/<!--[\s\S]*?-->/g, " ")
    .replace(new RegExp(`<(${skip})\\b[\\s\\S]*?</\\1>`, "gi"), "\n\n")
    .replace(BLOCK_TAG, "\u0001")
    .replace(/<[^>]*>/g, "")
    .split("\u0001")
    .map(unescapeEntities);
}

/** String literals of source code. */
export function* stringLiterals(program: string): Generator<string> {
  const literal = /"((?:[^"\\\n]|\\.)*)"|`([^`\\]*)`|'((?:[^'\\\n]|\\.)*)'/g;
  for (const text of captures(program, literal)) {
    yield text
      .replace(/\\n/g, " ")
      .replace(/\\u([0-9a-f]{4})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
      .replace(/\\(.)/g, "$1");
  }
}
