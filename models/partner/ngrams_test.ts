import { deepStrictEqual } from "node:assert";
import { ngramsOf } from "./ngrams.ts";

Deno.test("ngramsOf() gives words, pairs of words, and three to five characters of a word", () => {
  const { words, characters } = ngramsOf("red car");
  deepStrictEqual(words.length, 3);
  // " red ": two of three, two of four and one of five characters, and the same of " car ".
  deepStrictEqual(characters.length, 2 * (3 + 2 + 1));
  deepStrictEqual(new Set([...words, ...characters]).size, words.length + characters.length);
});

Deno.test("ngramsOf() does not see case, punctuation or spaces", () => {
  deepStrictEqual(ngramsOf("  Red, CAR!"), ngramsOf("red car"));
  deepStrictEqual(ngramsOf("ﬁne"), ngramsOf("fine"));
});

Deno.test("ngramsOf() sees the order of words", () => {
  const [there, back] = [ngramsOf("dog bites man"), ngramsOf("man bites dog")];
  deepStrictEqual(there.words.slice(0, 3).sort(), back.words.slice(0, 3).sort());
  const pairs = new Set([...there.words.slice(3), ...back.words.slice(3)]);
  deepStrictEqual(pairs.size, 4);
});

Deno.test("ngramsOf() gives none of a text without a letter, and a short word whole", () => {
  deepStrictEqual(ngramsOf("?! …"), { words: new Uint32Array(), characters: new Uint32Array() });
  deepStrictEqual(ngramsOf("a").characters.length, 1);
});

Deno.test("ngramsOf() leaves characters out where they are not wanted", () => {
  const { words, characters } = ngramsOf("red car", { characters: false });
  deepStrictEqual([words.length, characters.length], [3, 0]);
});
