import { deepStrictEqual, ok } from "node:assert";
import fc from "fast-check";
import { SPECIAL_TOKENS } from "../../models/formats/tokenizer_files.ts";
import { Random } from "../../lib/random.ts";
import { Tokenizer } from "../../models/text/tokenizer.ts";
import { TokenMasker } from "./masking.ts";

const TOKENS = [...SPECIAL_TOKENS, ..."abcdefghij", ..."klmnopqrst".split("").map((c) => `##${c}`)];
const [CLS, SEP, MASK] = ["[CLS]", "[SEP]", "[MASK]"].map((token) => TOKENS.indexOf(token)) as [
  number,
  number,
  number,
];
const masker = new TokenMasker(Tokenizer.fromVocabulary(TOKENS, { modelMaxLength: 512 }));
const isContinuation = (id: number) => TOKENS[id]!.startsWith("##");

/** A text of ordinary tokens between `[CLS]` and `[SEP]`. */
const texts = fc.array(fc.integer({ min: SPECIAL_TOKENS.length, max: TOKENS.length - 1 }), {
  minLength: 1,
  maxLength: 60,
}).map((ids) => [CLS, ...ids, SEP]);

Deno.test("TokenMasker hides whole words, and tells what stood there", () => {
  fc.assert(fc.property(texts, fc.integer(), (ids, seed) => {
    const { ids: masked, positions, labels } = masker.mask(ids, 0.15, new Random(seed));
    deepStrictEqual(labels, positions.map((place) => ids[place]));
    const hidden = new Set(positions);
    for (const [place, id] of ids.entries()) {
      if (!hidden.has(place)) deepStrictEqual(masked[place], id);
      // A piece that continues a word is hidden with the piece before it, and shown with it.
      if (place > 1 && isContinuation(id)) {
        deepStrictEqual(hidden.has(place), hidden.has(place - 1));
      }
    }
    ok(!hidden.has(0) && !hidden.has(ids.length - 1), "special tokens are never hidden");
    ok(positions.length > 0);
  }));
});

Deno.test("TokenMasker hides the share that is asked for, 80 % of it behind [MASK]", () => {
  const ids = [CLS, ...Array.from({ length: 100_000 }, (_, i) => 5 + i % 10), SEP];
  const { ids: masked, positions } = masker.mask(ids, 0.15, new Random(1));
  deepStrictEqual(positions.length, 15_000);
  const shares = { mask: 0, kept: 0, random: 0 };
  for (const place of positions) {
    const kind = masked[place] === MASK ? "mask" : masked[place] === ids[place] ? "kept" : "random";
    shares[kind] += 1 / positions.length;
  }
  // A random token is the right one in one of 20 cases.
  ok(Math.abs(shares.mask - 0.8) < 0.01, `${shares.mask}`);
  ok(Math.abs(shares.kept - 0.105) < 0.01, `${shares.kept}`);
  ok(Math.abs(shares.random - 0.095) < 0.01, `${shares.random}`);
});

Deno.test("TokenMasker is a function of its random numbers", () => {
  fc.assert(fc.property(texts, fc.integer(), (ids, seed) => {
    deepStrictEqual(
      masker.mask(ids, 0.3, new Random(seed)),
      masker.mask(ids, 0.3, new Random(seed)),
    );
  }));
});
