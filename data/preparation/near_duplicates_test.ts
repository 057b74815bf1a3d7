import { deepStrictEqual } from "node:assert";
import fc from "fast-check";
import { duplicateKey } from "./normalise.ts";
import { NEAR_THRESHOLD, nearDuplicateSets } from "./near_duplicates.ts";

/** The similarity from its definition. */
function similarity(a: string, b: string): number {
  const trigrams = (text: string) => {
    const key = duplicateKey(text);
    if (key.length < 3) return new Set([key]);
    return new Set(Array.from({ length: key.length - 2 }, (_, i) => key.slice(i, i + 3)));
  };
  const [left, right] = [trigrams(a), trigrams(b)];
  return left.intersection(right).size / left.union(right).size;
}

Deno.test("nearDuplicateSets() finds what comparing all pairs finds", () => {
  const word = fc.constantFrom(
    "official",
    "music",
    "video",
    "trailer",
    "how",
    "to",
    "bake",
    "bread",
  );
  const text = fc.array(word, { minLength: 1, maxLength: 7 }).map((words) => words.join(" "));
  const rows = fc.uniqueArray(text, { minLength: 1, maxLength: 60 });
  fc.assert(fc.property(rows, (texts) => {
    const sets = Uint8Array.from(texts, (_, i) => 1 << (i % 3));
    const expected = texts.map((text, i) =>
      texts.reduce(
        (bits, other, j) =>
          i !== j && similarity(text, other) >= NEAR_THRESHOLD ? bits | sets[j]! : bits,
        0,
      )
    );
    deepStrictEqual([...nearDuplicateSets(texts, sets)], expected);
  }));
});

Deno.test("nearDuplicateSets() finds one of another set behind a thousand of its own", () => {
  const template = "the weekly news programme of the town, all about the market, episode ";
  const texts = Array.from({ length: 1001 }, (_, i) => `${template}${i}`);
  const sets = Uint8Array.from(texts, (_, i) => i < 1000 ? 1 : 2);
  const found = nearDuplicateSets(texts, sets);
  deepStrictEqual([found[0], found[999], found[1000]], [3, 3, 1]);
});

Deno.test("nearDuplicateSets() ignores case, spaces and punctuation", () => {
  const texts = ["Bake bread", "bake  BREAD!", "Fix a bike", "a", "A!", "?"];
  deepStrictEqual([...nearDuplicateSets(texts, Uint8Array.of(1, 2, 1, 1, 2, 4))], [
    2,
    1,
    0,
    2,
    1,
    0,
  ]);
});
