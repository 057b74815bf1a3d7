/**
 * Normalises texts by the steps of the published recipe, each optional.
 *
 * @module
 */
import { ENGLISH_STOP_WORDS } from "./stop_words.ts";

/** The steps of {@link normaliser}, in their fixed order. */
export interface NormaliseOptions {
  /** Drop English stop words: words between spaces, compared in lower case. */
  stopwords: boolean;
  /** Replace every character but letters, numbers and spaces with a space. */
  stripPunctuation: boolean;
  /** Make all letters lower case. */
  lowercase: boolean;
  /** Keep only words with a letter from a to z: digits, then that letter, then the rest. */
  latinWords: boolean;
}

/** Python's `\s` and `str.split()`; JavaScript's `\s` differs in seven characters. */
const OTHER_SPACE =
  "\\t-\\r\\x1C-\\x1F\\x85\\xA0\\u1680\\u2000-\\u200A\\u2028\\u2029\\u202F\\u205F\\u3000";
const SPACE = ` ${OTHER_SPACE}`;
/** Python's `\w` without the underscore: unlike letters, combining marks are not in it. */
const LETTERS_AND_NUMBERS = "\\p{L}\\p{N}";

const SPACES = new RegExp(`[${SPACE}]+`, "u");
const OTHER_SPACES = new RegExp(`[${OTHER_SPACE}]`);
const PUNCTUATION = new RegExp(`[^${LETTERS_AND_NUMBERS}${SPACE}]`, "gu");
const LATIN_WORDS = new RegExp(`\\p{Nd}*[a-zA-Z][${LETTERS_AND_NUMBERS}_]*`, "gu");

/** A function that applies the chosen steps, and leaves one space between words. */
export function normaliser(options: NormaliseOptions): (text: string) => string {
  return (text) => {
    let words = text;
    if (options.stopwords) {
      words = words.split(SPACES)
        .filter((word) => !ENGLISH_STOP_WORDS.has(word.toLowerCase()))
        .join(" ");
    }
    if (options.stripPunctuation) words = words.replace(PUNCTUATION, " ");
    if (options.lowercase) words = words.toLowerCase();
    if (options.latinWords) words = words.match(LATIN_WORDS)?.join(" ") ?? "";
    return isTidy(words) ? words : words.split(SPACES).filter((word) => word !== "").join(" ");
  };
}

/** Whether the words of a text are joined by one space each: asked of each of a million texts. */
function isTidy(text: string): boolean {
  return !text.startsWith(" ") && !text.endsWith(" ") && !text.includes("  ") &&
    !OTHER_SPACES.test(text);
}

const WORDS = /[\p{L}\p{M}\p{N}]+/gu;

/** The words of a text in lower case, without punctuation. */
export function wordsOf(text: string): string[] {
  return text.normalize("NFKC").toLowerCase().match(WORDS) ?? [];
}

/**
 * The same key for texts that differ only in case, spaces and punctuation. A text without letters
 * or numbers is its own key.
 */
export function duplicateKey(text: string): string {
  return wordsOf(text).join(" ") || text.trim();
}
