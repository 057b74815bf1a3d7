/**
 * The worked example: a small BERT from random weights on the published YouTube titles. Needs the
 * folder of their CSV files in `GRAFT_YOUTUBE_DIR`.
 *
 * @module
 */
import { ok } from "node:assert";
import { readDataset } from "../data/dataset.ts";
import { TrainSettings } from "../training/settings.ts";
import { train } from "../training/train.ts";

const dir = Deno.env.get("GRAFT_YOUTUBE_DIR");
if (dir === undefined) {
  console.log("GRAFT_YOUTUBE_DIR is not set: the published titles are skipped");
}

Deno.test({
  name: "scratch:tiny reaches the published accuracy",
  ignore: dir === undefined,
  fn: async () => {
    const settings = TrainSettings.parse({ epochs: 6, batchSize: 32, learningRate: 1e-3 });
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
