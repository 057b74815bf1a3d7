/**
 * The worked example: a small BERT from random weights on the published YouTube titles, in batches
 * that are hardly padded. Needs the folder of their CSV files in `GRAFT_YOUTUBE_DIR`.
 *
 * @module
 */
import { ok } from "node:assert";
import { collate, trainingBatches } from "../../data/batches.ts";
import { readDataset } from "../../data/dataset.ts";
import { scratchClassifier } from "../../models/scratch.ts";
import { TrainSettings } from "../../training/settings.ts";
import { train } from "../../training/train.ts";

const dir = Deno.env.get("GRAFT_YOUTUBE_DIR");
if (dir === undefined) {
  console.log("GRAFT_YOUTUBE_DIR is not set: the published titles are skipped");
}

Deno.test({
  name: "scratch:tiny reaches the published accuracy",
  ignore: dir === undefined,
  fn: async () => {
    const settings = TrainSettings.parse({
      model: "scratch:tiny",
      epochs: 6,
      batchSize: 32,
      learningRate: 1e-3,
    });
    const outDir = await Deno.makeTempDir();
    try {
      const { metrics } = await train(await readDataset(dir!), { settings, outDir });
      ok(metrics.problem_type === "single_label_classification");
      ok(metrics.accuracy >= 0.93, `accuracy ${metrics.accuracy}`);
      ok(metrics.unseen!.accuracy >= 0.6, `accuracy on unseen titles ${metrics.unseen!.accuracy}`);
    } finally {
      await Deno.remove(outDir, { recursive: true });
    }
  },
});

Deno.test({
  name: "of the tokens of the published titles less than 5 % are padding",
  ignore: dir === undefined,
  fn: async () => {
    const dataset = await readDataset(dir!);
    const texts = Array.from(dataset.train, ({ text }) => text);
    const { tokenizer } = scratchClassifier("tiny", texts, dataset.labels, {
      seed: 11,
      maxLength: 256,
    });
    const ids = texts.map((text) => tokenizer.encode(text).ids);
    const batches = trainingBatches(ids.map(({ length }) => length), {
      batchSize: 16,
      seed: 11,
      epoch: 0,
      shuffle: true,
    });
    let [all, padding] = [0, 0];
    for (const batch of batches) {
      const { data } = collate(batch.map((i) => ids[i]!), 0).attention_mask;
      all += data.length;
      padding += data.length - Number((data as BigInt64Array).reduce((sum, mask) => sum + mask));
    }
    ok(padding < 0.05 * all, `${padding} of ${all} tokens are padding`);
  },
});
