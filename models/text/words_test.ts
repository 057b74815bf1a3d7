import { deepStrictEqual } from "node:assert";
import { tokenizedText } from "./words.ts";

/** A token for each word, and no more than six with `[CLS]` and `[SEP]`. */
function wordTokenizer() {
  const counted: string[] = [];
  const tokensOf = (text: string) => [1, ...text.split(" ").filter(Boolean).map(() => 7), 2];
  return {
    counted,
    specialTokenCount: 2,
    encodeWhole: tokensOf,
    encode: (text: string) => {
      const ids = tokensOf(text);
      return { ids: ids.length <= 6 ? ids : [...ids.slice(0, 5), 2], truncated: ids.length > 6 };
    },
    countTokens(text: string) {
      counted.push(text);
      return tokensOf(text).length;
    },
  };
}

Deno.test("tokenizedText() tells the tokens of each word, and looks no further than the text is seen", () => {
  const tokenizer = wordTokenizer();
  const { ids, words } = tokenizedText(tokenizer, "a duet for two grand pianos");
  deepStrictEqual(ids, [1, 7, 7, 7, 7, 2]);
  deepStrictEqual(
    words.map(({ word, start, firstToken, endToken }) => [word, start, firstToken, endToken]),
    [
      ["a", 0, 1, 2],
      ["duet", 2, 2, 3],
      ["for", 7, 3, 4],
      ["two", 11, 4, 5],
      ["grand", 15, 5, 5],
      ["pianos", 21, 5, 5],
    ],
  );
  deepStrictEqual(tokenizer.counted.at(-1), "a duet for two");
});
