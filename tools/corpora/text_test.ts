import { deepStrictEqual } from "node:assert";
import { captures, countWords, isEnglish, paragraphs, passages, squeeze } from "./text.ts";

Deno.test("squeeze() straightens quotation marks and white space", () => {
  deepStrictEqual(squeeze(" \u201cit\u2019s\u201d\n\there "), '"it\'s" here');
});

Deno.test("countWords() counts only words with letters", () => {
  deepStrictEqual(countWords("3 men - and a 2nd boat"), 5);
});

Deno.test("isEnglish() refuses tables, drawings and other alphabets", () => {
  deepStrictEqual(
    ["A plain café.", "12 34 56 ab", "+--+ |x| +--+", "это по-русски", "ab"].map(isEnglish),
    [true, false, false, false, false],
  );
});

Deno.test("paragraphs() splits at blank lines, with spaces or carriage returns", () => {
  deepStrictEqual(paragraphs("one\ntwo\n \t\nthree\r\n\r\nfour"), ["one\ntwo", "three", "four"]);
});

Deno.test("passages() keeps sentences whole and joins them up to 300 characters", () => {
  const sentence = `A${"b".repeat(118)}.`;
  deepStrictEqual([...passages(Array(5).fill(sentence).join(" "))], [
    `${sentence} ${sentence}`,
    `${sentence} ${sentence}`,
    sentence,
  ]);
  deepStrictEqual([...passages("")], []);
});

Deno.test("captures() gives the group of the alternative that matched", () => {
  deepStrictEqual([...captures("a=1 b:2", /a=(\d)|b:(\d)/g)], ["1", "2"]);
});
