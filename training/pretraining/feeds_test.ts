import { deepStrictEqual, ok } from "node:assert";
import { pretrainingStep } from "./feeds.ts";
import { Tokenizer } from "../../models/text/tokenizer.ts";
import { TokenMasker } from "./masking.ts";

const TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ..."abcdefghijklmnopqrstuvwxyz"];
const ROWS = Array.from({ length: 8 }, (_, i) => [2, ...Array(4 + i).fill(5 + i), 3]);
const rows = { row: (index: number) => ROWS[index]! };
const SOURCE = {
  rows,
  masker: new TokenMasker(Tokenizer.fromVocabulary(TOKENS, { modelMaxLength: 512 })),
  maskProbability: 0.25,
  padId: 0,
  seed: 1,
};
const TEACHER = {
  rows,
  embedder: {
    size: 2,
    // deno-lint-ignore require-await
    embed: async (texts: readonly (readonly number[])[]) =>
      Float32Array.from(texts.flatMap((ids) => [ids[1]!, ids.length])),
  },
};

function numbers(data: ArrayLike<number | bigint>): number[] {
  return Array.from(data, Number);
}

Deno.test("pretrainingStep() divides by the masked tokens of all parts", async () => {
  const { parts, tokens } = await pretrainingStep([[0, 1, 2], [7]], 0, SOURCE);
  deepStrictEqual(tokens, 6 + 7 + 8 + 13);
  const weights = parts.flatMap(({ masked_weights }) => numbers(masked_weights!.data));
  // A quarter of 4, 5, 6 and 11 tokens.
  deepStrictEqual(weights, Array(1 + 1 + 2 + 3).fill(Math.fround(1 / 7)));
  const places = parts.map(({ masked_positions }) => numbers(masked_positions!.data));
  ok(places[0]!.every((place) => place % 8 > 0 && place < 3 * 8));
});

Deno.test("pretrainingStep() shows every second text whole where there is a teacher", async () => {
  const { parts: [feeds] } = await pretrainingStep([[4, 1, 6, 3]], 0, {
    ...SOURCE,
    teacher: TEACHER,
  });
  const { input_ids, masked_positions, teacher_embeddings, text_weights } = feeds!;
  const length = input_ids!.shape[1]!;
  const masked = new Set(numbers(masked_positions!.data).map((p) => Math.floor(p / length)));
  deepStrictEqual([...masked], [0, 2]);
  for (const [place, row] of [[1, 1], [3, 3]] as const) {
    const ids = numbers(input_ids!.data).slice(place * length, (place + 1) * length);
    deepStrictEqual(ids.slice(0, ROWS[row]!.length), ROWS[row]);
  }
  deepStrictEqual(numbers(teacher_embeddings!.data), [9, 10, 6, 7, 11, 12, 8, 9]);
  deepStrictEqual(numbers(text_weights!.data), [0.25, 0.25, 0.25, 0.25]);
});
