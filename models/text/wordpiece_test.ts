import fc from "fast-check";
import { deepStrictEqual, ok, strictEqual, throws } from "node:assert";
import { Tokenizer } from "./tokenizer.ts";
import { learnVocabulary, WordCounter } from "./wordpiece.ts";

const SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/** Joins words, each repeated as often as its count says, to one text. */
function repeatWords(counts: Record<string, number>): string {
  return Object.entries(counts).flatMap(([word, count]) => Array(count).fill(word)).join(" ");
}

function createTokenizer(vocabulary: readonly string[], lowercase = true): Tokenizer {
  return Tokenizer.fromVocabulary(vocabulary, {
    modelMaxLength: 512,
    normalization: { lowercase },
  });
}

const HUGS = [repeatWords({ hug: 10, pug: 5, pun: 12, bun: 4, hugs: 5 })];
const HUGS_ALPHABET = ["b", "g", "h", "n", "p", "s", "u", "##g", "##n", "##s", "##u"];
// u+g occurs 20 times, u+n 16, h+ug 15 and p+un 12 times, p+ug and hug+s both 5, b+un 4 times.
const HUGS_MERGES = ["##ug", "##un", "hug", "pun", "pug", "hugs", "bun"];

Deno.test("learnVocabulary() merges the most frequent pairs until no pair is left", () => {
  deepStrictEqual(
    learnVocabulary(HUGS, { vocabularySize: 100 }),
    [...SPECIAL_TOKENS, ...HUGS_ALPHABET, ...HUGS_MERGES],
  );
});

Deno.test("learnVocabulary() stops at the vocabulary size", () => {
  deepStrictEqual(
    learnVocabulary(HUGS, { vocabularySize: 19 }),
    [...SPECIAL_TOKENS, ...HUGS_ALPHABET, ...HUGS_MERGES.slice(0, 3)],
  );
});

Deno.test("learnVocabulary() leaves pairs below the minimum frequency alone", () => {
  deepStrictEqual(
    learnVocabulary(HUGS, { vocabularySize: 100, minFrequency: 5 }),
    [...SPECIAL_TOKENS, ...HUGS_ALPHABET, ...HUGS_MERGES.slice(0, 6)],
  );
});

Deno.test("learnVocabulary() merges equally frequent pairs in the order of their ids", () => {
  deepStrictEqual(
    learnVocabulary(["yx ba yx ba"], { vocabularySize: 100 }).slice(-2),
    ["ba", "yx"],
  );
});

Deno.test("learnVocabulary() merges runs of one character from the left", () => {
  // "##a ##a" occurs twice in each "aaaa".
  deepStrictEqual(
    learnVocabulary(["aaaa aaaa"], { vocabularySize: 100 }),
    [...SPECIAL_TOKENS, "a", "##a", "##aa", "aaa", "aaaa"],
  );
});

Deno.test("learnVocabulary() never merges across words or punctuation", () => {
  deepStrictEqual(
    learnVocabulary(["a b", "a b", "a-b", "a-b"], { vocabularySize: 100 }),
    [...SPECIAL_TOKENS, "-", "a", "b"],
  );
});

Deno.test("learnVocabulary() gives the special tokens for texts without words", () => {
  deepStrictEqual(learnVocabulary([], { vocabularySize: 6 }), SPECIAL_TOKENS);
  deepStrictEqual(learnVocabulary(["", " \n"], { vocabularySize: 6 }), SPECIAL_TOKENS);
});

Deno.test("learnVocabulary() lowercases and strips accents by default", () => {
  deepStrictEqual(
    learnVocabulary(["Été ete"], { vocabularySize: 100 }),
    [...SPECIAL_TOKENS, "e", "t", "##e", "##t", "et", "ete"],
  );
});

Deno.test("learnVocabulary() keeps case and accents if told so", () => {
  deepStrictEqual(
    learnVocabulary(["Été ete"], { vocabularySize: 100, lowercase: false }),
    [...SPECIAL_TOKENS, "e", "t", "É", "é", "##e", "##t", "##é"],
  );
});

Deno.test("learnVocabulary() drops the rarest characters beyond the alphabet's limit", () => {
  deepStrictEqual(
    learnVocabulary(["a a a c b b"], { vocabularySize: 100, limitAlphabet: 2 }),
    [...SPECIAL_TOKENS, "a", "b"],
  );
  deepStrictEqual(
    learnVocabulary(["c a b"], { vocabularySize: 100, limitAlphabet: 2 }),
    [...SPECIAL_TOKENS, "a", "b"],
  );
});

Deno.test("learnVocabulary() counts characters by code point", () => {
  deepStrictEqual(
    learnVocabulary(["😀 ａ"], { vocabularySize: 100 }),
    [...SPECIAL_TOKENS, "ａ", "😀"],
  );
});

Deno.test("learnVocabulary() rejects options that are not integers or too small", () => {
  throws(() => learnVocabulary(HUGS, { vocabularySize: 3 }), {
    name: "RangeError",
    message: "Cannot learn a vocabulary: 'vocabularySize' must be at least 6, got 3",
  });
  throws(() => learnVocabulary(HUGS, { vocabularySize: NaN }), {
    name: "RangeError",
    message: "Cannot learn a vocabulary: 'vocabularySize' must be an integer, got NaN",
  });
  throws(() => learnVocabulary(HUGS, { vocabularySize: 100, minFrequency: 0 }), {
    name: "RangeError",
    message: "Cannot learn a vocabulary: 'minFrequency' must be at least 1, got 0",
  });
  throws(() => learnVocabulary(HUGS, { vocabularySize: 100, limitAlphabet: 0.5 }), {
    name: "RangeError",
    message: "Cannot learn a vocabulary: 'limitAlphabet' must be an integer, got 0.5",
  });
});

Deno.test("learnVocabulary() rejects a size that cannot hold the alphabet", () => {
  strictEqual(learnVocabulary(HUGS, { vocabularySize: 16 }).length, 16);
  throws(() => learnVocabulary(HUGS, { vocabularySize: 15 }), {
    name: "UserError",
    message:
      "Cannot learn a vocabulary of 15 tokens: the special tokens and the texts' alphabet take 16",
  });
});

/** Texts of few characters, so that pairs repeat. */
const repetitiveTexts = fc.array(
  fc.string({ unit: fc.constantFrom("a", "b", "c", "é", "B", " "), maxLength: 60 }),
  { maxLength: 20 },
);

/** Texts of any characters, too short to hold a word that is encoded as `[UNK]` for its length. */
const anyTexts = fc.array(fc.string({ unit: "binary", maxLength: 20 }), { maxLength: 20 });

Deno.test("learnVocabulary() gives distinct tokens within the size, special tokens first", () => {
  fc.assert(
    fc.property(
      repetitiveTexts,
      fc.integer({ min: 13, max: 80 }),
      fc.integer({ min: 1, max: 3 }),
      (texts, vocabularySize, minFrequency) => {
        const vocabulary = learnVocabulary(texts, { vocabularySize, minFrequency });
        deepStrictEqual(vocabulary.slice(0, 5), SPECIAL_TOKENS);
        ok(vocabulary.length <= vocabularySize);
        strictEqual(new Set(vocabulary).size, vocabulary.length);
      },
    ),
  );
});

Deno.test("learnVocabulary() does not depend on the order of the texts", () => {
  fc.assert(
    fc.property(repetitiveTexts, fc.integer({ min: 13, max: 80 }), (texts, vocabularySize) => {
      const vocabulary = learnVocabulary(texts, { vocabularySize });
      deepStrictEqual(learnVocabulary(texts, { vocabularySize }), vocabulary);
      deepStrictEqual(learnVocabulary(texts.toReversed(), { vocabularySize }), vocabulary);
    }),
  );
});

Deno.test("learnVocabulary() gives a vocabulary that encodes its texts without [UNK]", () => {
  fc.assert(
    fc.property(fc.oneof(repetitiveTexts, anyTexts), fc.boolean(), (texts, lowercase) => {
      const vocabulary = learnVocabulary(texts, { vocabularySize: 2005, lowercase });
      const tokenizer = createTokenizer(vocabulary, lowercase);
      for (const text of texts) strictEqual(tokenizer.countUnknown(tokenizer.encodeWhole(text)), 0);
    }),
  );
});

Deno.test("WordCounter forgets the rarest words where there are more than it keeps", () => {
  const counter = new WordCounter({ maxWords: 4 });
  counter.add("a a a b b c d");
  deepStrictEqual([...counter.counts], [["a", 3], ["b", 2], ["c", 1], ["d", 1]]);
  counter.add("e");
  deepStrictEqual([...counter.counts], [["a", 3], ["b", 2]]);
  counter.add("e e d b a");
  deepStrictEqual([...counter.counts], [["a", 4], ["b", 3], ["e", 2], ["d", 1]]);
  counter.add("c");
  deepStrictEqual([...counter.counts], [["a", 4], ["b", 3]]);
});

Deno.test("WordCounter keeps within its bound where all words are as frequent", () => {
  const counter = new WordCounter({ maxWords: 4 });
  for (let i = 0; i < 100; i++) {
    counter.add(`word${i} word${i}`);
    ok(counter.counts.size <= 4);
  }
});
