import { deepStrictEqual, notDeepStrictEqual, ok } from "node:assert";
import fc from "fast-check";
import { Random } from "../lib/random.ts";
import { collate, cutBatch, evaluationBatches, trainingBatches } from "./batches.ts";

const lengths = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 300 });
const options = fc.record({
  batchSize: fc.integer({ min: 1, max: 40 }),
  seed: fc.integer(),
  epoch: fc.nat(20),
  shuffle: fc.boolean(),
}, { noNullPrototype: true });

Deno.test("trainingBatches() uses each example once and fills its batches", () => {
  fc.assert(fc.property(lengths, options, (lengths, options) => {
    const batches = trainingBatches(lengths, options);
    deepStrictEqual(batches.flat().sort((a, b) => a - b), lengths.map((_, i) => i));
    deepStrictEqual(batches.length, Math.ceil(lengths.length / options.batchSize));
    ok(batches.every((batch) => batch.length <= options.batchSize));
  }));
});

Deno.test("trainingBatches() is a pure function of its arguments", () => {
  fc.assert(fc.property(lengths, options, (lengths, options) => {
    deepStrictEqual(trainingBatches(lengths, options), trainingBatches(lengths, options));
  }));
});

Deno.test("trainingBatches() orders each epoch and each seed differently", () => {
  const lengths = Array.from({ length: 200 }, (_, i) => 3 + i % 9);
  const options = { batchSize: 8, seed: 11, epoch: 0, shuffle: true };
  const batches = trainingBatches(lengths, options);
  notDeepStrictEqual(trainingBatches(lengths, { ...options, epoch: 1 }), batches);
  notDeepStrictEqual(trainingBatches(lengths, { ...options, seed: 12 }), batches);
});

Deno.test("trainingBatches() pads less than 5 % where lengths are spread as those of titles", () => {
  // Log-normal: a median of 8 tokens, and one title in a thousand above 30.
  const random = new Random(1);
  const lengths = Array.from(
    { length: 5000 },
    () => Math.max(3, Math.round(Math.exp(Math.log(8) + 0.43 * random.normal()))),
  );
  for (const seed of [11, 12, 13]) {
    const batches = trainingBatches(lengths, { batchSize: 16, seed, epoch: 0, shuffle: true });
    const all = batches.reduce(
      (sum, batch) => sum + batch.length * Math.max(...batch.map((i) => lengths[i]!)),
      0,
    );
    const padding = all - lengths.reduce((sum, length) => sum + length, 0);
    ok(padding < 0.05 * all, `${padding} of ${all} tokens are padding`);
  }
});

Deno.test("evaluationBatches() uses each example once, shortest first", () => {
  fc.assert(fc.property(lengths, fc.integer({ min: 1, max: 40 }), (lengths, batchSize) => {
    const order = evaluationBatches(lengths, batchSize).flat();
    deepStrictEqual(order.toSorted((a, b) => a - b), lengths.map((_, i) => i));
    deepStrictEqual(order.map((i) => lengths[i]), lengths.toSorted((a, b) => a - b));
  }));
});

Deno.test("evaluationBatches() fills batches, but for texts that would be padded a lot", () => {
  deepStrictEqual(evaluationBatches([9, 9, 9, 9, 9, 9], 4).map(({ length }) => length), [2, 4]);
  deepStrictEqual(evaluationBatches([30, 9, 10, 8, 29, 9], 6), [[3, 1, 5, 2], [4, 0]]);
});

Deno.test("collate() pads to the longest text and masks the padding", () => {
  const { input_ids, attention_mask, token_type_ids } = collate([[2, 7, 8, 3], [2, 3]], 9);
  deepStrictEqual(input_ids.shape, [2, 4]);
  deepStrictEqual([...input_ids.data], [2n, 7n, 8n, 3n, 2n, 3n, 9n, 9n]);
  deepStrictEqual([...attention_mask.data], [1n, 1n, 1n, 1n, 1n, 1n, 0n, 0n]);
  deepStrictEqual([...token_type_ids.data], [0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n]);
});

Deno.test("evaluationBatches() keeps to the tokens of a batch, padding included", () => {
  const lengths = Array.from({ length: 50 }, (_, i) => i + 1);
  const batches = evaluationBatches(lengths, 16, 100);
  deepStrictEqual(batches.flat(), lengths.map((_, i) => i));
  for (const batch of batches) {
    ok(batch.length * Math.max(...batch.map((i) => lengths[i]!)) <= 100);
  }
  deepStrictEqual(evaluationBatches([200, 300], 16, 100), [[0], [1]]);
});

Deno.test("cutBatch() leaves a batch alone that fits", () => {
  deepStrictEqual(cutBatch([3, 1, 2], [9, 4, 9, 5], () => 3), [[3, 1, 2]]);
});

Deno.test("cutBatch() makes parts of as many texts as their longest allows", () => {
  const lengths = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 40 });
  fc.assert(fc.property(lengths, fc.integer({ min: 1, max: 500 }), (lengths, tokens) => {
    const textsOf = (length: number) => Math.max(1, Math.floor(tokens / length));
    const batch = lengths.map((_, i) => i);
    const parts = cutBatch(batch, lengths, textsOf);
    deepStrictEqual(parts.flat().toSorted((a, b) => a - b), batch);
    for (const part of parts) {
      ok(part.length > 0);
      ok(part.length <= textsOf(Math.max(...part.map((i) => lengths[i]!))));
    }
    deepStrictEqual(cutBatch(batch, lengths, textsOf), parts);
  }));
});
