/** Tokenizers of all kinds agree with Python's library; `tokenizers/make_tokenizers.py` made them. */
import { deepStrictEqual } from "node:assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Tokenizer } from "../models/text/tokenizer.ts";

const DIR = fileURLToPath(new URL("./tokenizers", import.meta.url));
const BLOCK_TEXTS = 100;
/** Every tenth text is also the first of a pair. */
const PAIR_STEP = 10;

interface Drawn {
  words: string[];
  spaces: string[];
  ranges: [first: number, last: number][];
  /** Of each tokenizer, one for the ids of every block of texts. */
  hashes: Record<string, number[]>;
}

const { words, spaces, ranges, hashes }: Drawn = JSON.parse(
  await Deno.readTextFile(join(DIR, "texts.json")),
);

/** The numbers of the script's linear congruential generator. */
function drawer(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % limit;
  };
}

function textOf(number: number): string {
  const below = drawer(number);
  let text = "";
  for (let left = below(24); left > 0; left--) {
    if (below(6) === 0) {
      const [first, last] = ranges[below(ranges.length)]!;
      text += String.fromCodePoint(first + below(last - first + 1));
    } else text += words[below(words.length)];
    text += spaces[below(spaces.length)];
  }
  return text;
}

/** FNV-1a of 32-bit numbers. */
function hashOf(ids: Iterable<number>): number {
  let hash = 2166136261;
  for (const id of ids) hash = Math.imul(hash ^ id, 16777619);
  return hash >>> 0;
}

const blocks = hashes["roberta"]!.length;
const texts = Array.from({ length: BLOCK_TEXTS * blocks }, (_, number) => textOf(number));

for (const [name, expected] of Object.entries(hashes)) {
  Deno.test(`Tokenizer gives 10,000 texts and pairs the ids of Python's library: ${name}`, async () => {
    const tokenizer = await Tokenizer.load(join(DIR, name));
    const found = expected.map((_, block) => {
      const start = block * BLOCK_TEXTS;
      const singles = texts.slice(start, start + BLOCK_TEXTS);
      const pairs = singles.flatMap((text, i) =>
        i % PAIR_STEP === 0 ? [[text, texts.at(-1 - start - i)!] as const] : []
      );
      return hashOf([
        ...singles.flatMap((text) => tokenizer.encode(text).ids),
        ...pairs.flatMap(([first, second]) => tokenizer.encodePair(first, second).ids),
      ]);
    });
    deepStrictEqual(found, expected);
  });
}
