/**
 * Texts that are longer than a model takes, from training to a server's answer.
 *
 * @module
 */
import { deepStrictEqual, ok } from "node:assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MixedClassifier } from "../../models/inference/mixed_classifier.ts";
import { type LabelScore, TextClassifier } from "../../models/inference/text_classifier.ts";
import { Executor } from "../../onnx/runtime/executor.ts";
import type { TrainEvent } from "../../training/events.ts";
import { TrainSettings } from "../../training/settings.ts";
import type { TrainSettingsInput } from "../../training/settings_input.ts";
import { train } from "../../training/train.ts";
import { LocalServer } from "../support/local_server.ts";
import { foodAndMusic } from "../support/small_datasets.ts";

interface V1Answer {
  predictions: LabelScore[][];
}

const BASE = fileURLToPath(new URL("../peft/base", import.meta.url));

/** Only their ends tell their classes apart. */
const EXAMPLES = Array.from({ length: 32 }, (_, i) => ({
  text: `${"the number of the day is in here ".repeat(2)}${i % 2 === 0 ? "a song" : "a bread"}`,
  label: i % 2 === 0 ? "music" : "food",
}));
const DATASET = foodAndMusic(EXAMPLES);

async function trained(settings: TrainSettingsInput, outDir: string) {
  const events: TrainEvent[] = [];
  const { metrics } = await train(DATASET, {
    settings: TrainSettings.parse({
      model: "scratch:tiny",
      maxLength: 12,
      partner: "none",
      epochs: 12,
      batchSize: 8,
      device: "wasm",
      threads: 1,
      ...settings,
    }),
    outDir,
    onEvent: (event) => events.push(event),
  });
  const start = events.find((event) => event.type === "start");
  ok("accuracy" in metrics && start !== undefined);
  return { accuracy: metrics.accuracy, start };
}

Deno.test("the end of long texts is seen in chunks and as a tail, and else is lost", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const cut = await trained({ epochs: 1 }, join(dir, "truncate"));
    deepStrictEqual([cut.accuracy, cut.start.truncated, cut.start.chunks], [0.5, 32, 0]);
    ok(cut.start.lost_share > 0.3);
    const tail = await trained({ longTexts: "head-tail" }, join(dir, "head-tail"));
    deepStrictEqual([tail.accuracy, tail.start.truncated, tail.start.chunks], [1, 32, 0]);
    const chunks = await trained({ longTexts: "chunk" }, join(dir, "chunk"));
    deepStrictEqual([chunks.accuracy, chunks.start.truncated, chunks.start.chunks], [1, 0, 64]);
    deepStrictEqual(chunks.start.lost_share, 0);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a model in chunks answers alike alone, in mixed batches, on a server, and nearly with 8 bits", async () => {
  await using server = await LocalServer.start({ allowedBases: [BASE] });
  const chunks = { longTexts: "chunk", chunkJoin: "max", stride: 2, epochs: 1 } as const;
  await trained({ ...chunks, model: BASE }, join(server.runsDir, "whole"));
  const lora = { ...chunks, model: BASE, mode: "lora" } as const;
  await trained(lora, join(server.runsDir, "adapted"));
  const text = EXAMPLES[0]!.text;

  await using executor = await Executor.start({ device: "wasm", threads: 1 });
  const dirs = ["whole", "adapted"].map((name) => join(server.runsDir, name));
  const mixed = await MixedClassifier.load(executor, dirs);
  const answers = await mixed.classify(dirs.map((model) => ({ model, text })));
  const close = (scores: readonly LabelScore[], expected: readonly LabelScore[], by = 1e-5) => {
    for (const { label, score } of scores) {
      ok(Math.abs(score - expected.find((it) => it.label === label)!.score) < by);
    }
  };
  for (const [i, dir] of dirs.entries()) {
    const classifier = await TextClassifier.load(executor, dir);
    const rows = classifier.encode(text);
    ok(rows.length > 1);
    const logits = await classifier.logits(rows);
    const most = Array.from(
      logits[0]!,
      (_, label) => Math.max(...logits.map((row) => row[label]!)),
    );
    const [food, music] = most.map(Math.exp) as [number, number];
    close(answers[i]!, [
      { label: "food", score: food / (food + music) },
      { label: "music", score: music / (food + music) },
    ]);
  }
  const quantized = await TextClassifier.load(executor, dirs[0]!, "q8");
  close((await quantized.classify([text]))[0]!, answers[0]!, 0.05);

  const inputs = ["whole", "adapted"].map((model) => ({ text, model }));
  const { predictions } = await server.post<V1Answer>("/v1/predict", { inputs });
  for (const [i, scores] of predictions.entries()) close(scores, answers[i]!);
});
