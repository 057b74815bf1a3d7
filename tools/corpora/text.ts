/**
 * Plain text: its white space, words, paragraphs and passages.
 *
 * @module
 */

/** Makes curly quotation marks straight, and any run of white space one space. */
export function squeeze(text: string): string {
  return text.replace(/[\u2018\u2019]/g, "'").replace(/[\u201c\u201d]/g, '"').replace(/\s+/g, " ")
    .trim();
}

/** The number of words with letters in a squeezed text. */
export function countWords(text: string): number {
  return text.split(" ").filter((word) => /[a-z]/i.test(word)).length;
}

/** Whether a text is mostly English letters, unlike tables, code, drawings and other languages. */
export function isEnglish(text: string): boolean {
  const letters = text.match(/[a-z ]/gi)?.length ?? 0;
  return letters >= 3 && letters / text.length > 0.75 && !/[^ -\u024f\u2010-\u2026]/.test(text);
}

/** Paragraphs of wrapped text, separated by blank lines. */
export function paragraphs(text: string): string[] {
  return text.split(/\r?\n[ \t]*\r?\n/);
}

/** Cuts a paragraph into passages of whole sentences, of about 300 characters. */
export function* passages(paragraph: string): Generator<string> {
  const SIZE = 300;
  let passage = "";
  for (const sentence of paragraph.split(/(?<=[.!?]["')]?) (?=["'(]?[A-Z0-9])/)) {
    if (passage && passage.length + sentence.length > SIZE) {
      yield passage;
      passage = "";
    }
    passage = passage ? `${passage} ${sentence}` : sentence;
  }
  if (passage) yield passage;
}

/** The captured group of every match, for patterns whose alternatives capture one each. */
export function* captures(text: string, pattern: RegExp): Generator<string> {
  for (const match of text.matchAll(pattern)) {
    yield match.slice(1).find((group) => group !== undefined) ?? "";
  }
}
