/**
 * Cleans texts before they are split, as Python's `tokenizers` does. JavaScript's library of that name
 * differs from it in sigmas at the end of words, Chinese characters beyond the first plane, byte
 * order marks, dollar signs of replacements and every precompiled map.
 *
 * Both take the properties of characters from the Unicode that they were built with: characters of
 * the last ten years' scripts may be punctuation or accents to one of them only.
 *
 * @module
 */
import type { NormalizerJson } from "../formats/tokenizer_json.ts";
import { regExpOf } from "./patterns.ts";
import { precompiledMap } from "./precompiled_map.ts";

/** Cleans a text. */
export type Normalizer = (text: string) => string;

/**
 * The characters that BERT drops: control characters, those without a meaning of their own, and
 * U+FFFD.
 */
const CONTROLS = /(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}\p{Cs}\uFFFD]/gu;
const WHITE_SPACE = /\p{White_Space}/gu;
const LEADING_SPACE = /^\p{White_Space}+/u;
/** BERT's Chinese characters; each becomes a word. Python's library leaves U+2B820 to U+2B91F out. */
const CHINESE =
  /[\u4E00-\u9FFF\u3400-\u4DBF\uF900-\uFAFF\u{20000}-\u{2A6DF}\u{2A700}-\u{2B81F}\u{2B920}-\u{2CEAF}\u{2F800}-\u{2FA1F}]/gu;

/** The function that a tokenizer's `normalizer` describes. */
export function normalizerOf(json: NormalizerJson | null): Normalizer {
  if (json === null) return (text) => text;
  switch (json.type) {
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return (text) => text.normalize(json.type);
    case "Lowercase":
      return lowercase;
    case "StripAccents":
      return (text) => text.replace(/\p{M}/gu, "");
    case "Strip":
      return (text) => {
        const start = json.strip_left ? text.replace(LEADING_SPACE, "") : text;
        return json.strip_right ? withoutTrailingSpace(start) : start;
      };
    case "Prepend":
      return (text) => text === "" ? text : json.prepend + text;
    case "Replace": {
      const pattern = regExpOf(json.pattern);
      // A function is used, as `$` has no meaning in its result.
      return (text) => text.replace(pattern, () => json.content);
    }
    case "Precompiled":
      return precompiledMap(json.precompiled_charsmap);
    case "Sequence": {
      const normalizers = json.normalizers.map(normalizerOf);
      return (text) => normalizers.reduce((cleaned, normalize) => normalize(cleaned), text);
    }
    case "BertNormalizer": {
      const { clean_text, handle_chinese_chars, lowercase: lower } = json;
      const stripAccents = json.strip_accents ?? lower;
      return (text) => {
        let cleaned = text;
        if (clean_text) cleaned = cleaned.replace(CONTROLS, "").replace(WHITE_SPACE, " ");
        if (handle_chinese_chars) cleaned = cleaned.replace(CHINESE, " $& ");
        if (stripAccents) cleaned = cleaned.normalize("NFD").replace(/\p{Mn}/gu, "");
        return lower ? lowercase(cleaned) : cleaned;
      };
    }
  }
}

/**
 * Lower-cases each character by itself: JavaScript knows the sigma at the end of a word, Python's
 * library does not.
 */
function lowercase(text: string): string {
  return text.replaceAll("Σ", "σ").toLowerCase();
}

/** Searches from the end: a regular expression would try each run of spaces. */
function withoutTrailingSpace(text: string): string {
  let end = text.length;
  while (end > 0 && /\p{White_Space}/u.test(text[end - 1]!)) end--;
  return text.slice(0, end);
}
