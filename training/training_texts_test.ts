import { deepStrictEqual, ok } from "node:assert";
import { join } from "node:path";
import { plannedBatches } from "../data/batches.ts";
import { ExampleFileWriter } from "../data/example_file.ts";
import { BUNDLED_MODEL } from "../models/own_models.ts";
import { modelDir } from "../models/hub.ts";
import { Tokenizer } from "../models/text/tokenizer.ts";
import { partsOf } from "./step_plan.ts";
import { trainingTexts } from "./training_texts.ts";

const ROWS = Array.from({ length: 1200 }, (_, i) => ({
  text: "long ".repeat(i % 20) + `text ${i}`,
  label: i % 2 === 0 ? "a" : "b",
}));
const PROBLEM = { problemType: "single_label_classification", labels: ["a", "b"] } as const;

Deno.test("trainingTexts() cuts a large data set into the chunks of a small one", async () => {
  const tokenizer = (await Tokenizer.load(await modelDir(BUNDLED_MODEL)))
    .withMaxLength(10).withLongTexts({ strategy: "chunk", stride: 2, join: "mean" });
  const dir = await Deno.makeTempDir();
  try {
    using writer = ExampleFileWriter.create(join(dir, "rows"));
    for (const row of ROWS) writer.add(row);
    const options = { tokenizer, problem: PROBLEM };
    const encoded: number[] = [];
    await using small = await trainingTexts(ROWS, options);
    await using large = await trainingTexts(writer.finish(), {
      ...options,
      mostAtOnce: 100,
      onProgress: (texts) => encoded.push(texts),
    });
    deepStrictEqual(encoded, [800, 1200]);
    ok(large.lengths.length > ROWS.length);
    deepStrictEqual(Array.from(large.lengths), Array.from(small.lengths));
    deepStrictEqual(large.possibleLengths, small.possibleLengths);
    deepStrictEqual(
      [large.loss, large.unknownShare, large.note],
      [small.loss, small.unknownShare, small.note],
    );
    for (let row = 0; row < large.lengths.length; row += 7) {
      deepStrictEqual(large.ids(row), small.ids(row));
      deepStrictEqual(large.target(row), small.target(row));
    }
    deepStrictEqual(await large.encode(ROWS.slice(0, 50)), await small.encode(ROWS.slice(0, 50)));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("trainingTexts() makes the same steps of a large data set as of a small one", async () => {
  const tokenizer = (await Tokenizer.load(await modelDir(BUNDLED_MODEL))).withMaxLength(16);
  const dir = await Deno.makeTempDir();
  try {
    using writer = ExampleFileWriter.create(join(dir, "rows"));
    for (const row of ROWS) writer.add(row);
    const options = { tokenizer, problem: PROBLEM };
    await using small = await trainingTexts(ROWS, options);
    await using large = await trainingTexts(writer.finish(), { ...options, mostAtOnce: 100 });
    const settings = { batchSize: 16, gradientAccumulationSteps: 1, seed: 1, shuffle: true };
    const steps = plannedBatches(ROWS.length, { ...settings, epoch: 0 }).map((batch) => [batch]);
    large.encodeAhead(steps);
    for (const step of steps.slice(0, 20)) {
      await large.ready(step.flatMap(({ chunk }) => chunk));
      const parts = partsOf(step, large.lengths, settings);
      deepStrictEqual(parts, partsOf(step, small.lengths, settings));
      for (const row of parts.flat()) {
        deepStrictEqual(large.ids(row), small.ids(row));
        deepStrictEqual(large.target(row), small.target(row));
      }
    }
    // The large one is estimated from a sample.
    const share = large.loss.lost / large.loss.tokens;
    ok(Math.abs(share - small.loss.lost / small.loss.tokens) < 0.02);
    deepStrictEqual(await large.encode(ROWS.slice(0, 9)), await small.encode(ROWS.slice(0, 9)));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
