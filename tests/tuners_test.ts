import { deepStrictEqual, ok, rejects } from "node:assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readAdapter } from "../models/formats/adapter.ts";
import { mergedClassifier, saveClassifier } from "../models/formats/classifier_folder.ts";
import { TextClassifier } from "../models/inference/text_classifier.ts";
import { Executor } from "../onnx/runtime/executor.ts";
import type { TrainEvent, TrainResult } from "../training/events.ts";
import { TrainSettings } from "../training/settings.ts";
import type { TrainSettingsInput } from "../training/settings_input.ts";
import { TrainingInterrupted } from "../training/interrupted.ts";
import { train } from "../training/train.ts";
import { foodAndMusic } from "./support/small_datasets.ts";
import { withFolder } from "./support/with_folder.ts";

/** A small base with a vocabulary of the words below; the folder's README says where it is from. */
const BASE = fileURLToPath(new URL("./peft/base", import.meta.url));
/** Classes that one word tells apart. */
const EXAMPLES = Array.from({ length: 24 }, (_, i) => ({
  text: `${["a", "the", "how"][i % 3]} ${["song", "bread"][i % 2]} ${["today", "tune"][i % 5 % 2]}`,
  label: ["music", "food"][i % 2]!,
}));
const DATASET = foodAndMusic(EXAMPLES);
const SETTINGS = {
  mode: "prefix",
  model: BASE,
  prefixLength: 4,
  maxLength: 8,
  batchSize: 8,
  dropout: 0,
  threads: 1,
} as const;
const MODES: Record<string, TrainSettingsInput> = {
  "a prefix": {},
  "a projected prefix": { prefixProjection: true, prefixHiddenSize: 6 },
  "a prompt": { mode: "prompt" },
  "a prompt from random values": { mode: "prompt", initFrom: "random" },
  "LoRA's matrices": { mode: "lora", loraRank: 2, loraDropout: 0.1 },
  "LoRA's matrices of all layers": { mode: "lora", loraTargets: "all-linear" },
};

function parsed(settings: TrainSettingsInput): TrainSettings {
  return TrainSettings.parse({ ...SETTINGS, ...settings });
}

for (const [what, settings] of Object.entries(MODES)) {
  Deno.test(`train() tunes ${what}, and the folder gives the same answers`, async () => {
    await withFolder({}, async (dir) => {
      const outDir = join(dir, "run");
      const events: TrainEvent[] = [];
      const { metrics } = await train(DATASET, {
        settings: parsed({ epochs: 20, learningRate: 0.05, partner: "none", ...settings }),
        outDir,
        onEvent: (event) => events.push(event),
      });
      const losses = events.flatMap((event) => event.type === "step" ? event.loss : []);
      ok(losses.at(-1)! < losses[0]! / 2, `the loss went from ${losses[0]} to ${losses.at(-1)}`);

      await using executor = await Executor.start({ threads: 1 });
      const classifier = await TextClassifier.load(executor, outDir);
      const answers = await classifier.classify(DATASET.validation.map(({ text }) => text));
      const right = answers.filter(([best], i) => best!.label === DATASET.validation[i]!.label);
      ok("accuracy" in metrics);
      deepStrictEqual(right.length / answers.length, metrics.accuracy);

      const files = [...Deno.readDirSync(outDir)].map(({ name }) => name);
      deepStrictEqual(files.sort(), [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "checkpoints",
        "config.json",
        "metrics.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "trainer_state.json",
        "training_args.json",
        "training_texts.bin",
        "vocab.txt",
      ]);
    });
  });

  Deno.test(`train() resumes ${what}, and ends with the same bytes`, async () => {
    await withFolder({}, async (dir) => {
      const [whole, stopped] = [join(dir, "whole"), join(dir, "stopped")];
      const options = { settings: parsed({ epochs: 3, dropout: 0.1, ...settings }) };
      await train(DATASET, { ...options, outDir: whole });
      const interruption = new AbortController();
      const first: Promise<TrainResult> = train(DATASET, {
        ...options,
        outDir: stopped,
        signal: interruption.signal,
        onEvent: (event) => {
          if (event.type === "step" && event.step === 4) interruption.abort();
        },
      });
      await rejects(first, TrainingInterrupted);
      await train(DATASET, { ...options, outDir: stopped, resume: true });
      const weights = (run: string) => Deno.readFile(join(run, "adapter_model.safetensors"));
      deepStrictEqual(await weights(stopped), await weights(whole));
    });
  });
}

Deno.test("train() starts from another adapter's virtual tokens", async () => {
  await withFolder({}, async (dir) => {
    const [first, second] = [join(dir, "first"), join(dir, "second")];
    await train(DATASET, { settings: parsed({ epochs: 1 }), outDir: first });
    const start = { initFrom: first, maxSteps: 1, learningRate: 1e-9 };
    await train(DATASET, { settings: parsed(start), outDir: second });
    const tokens = async (run: string) =>
      (await readAdapter(run)).weights["prompt_encoder.embedding.weight"]!;
    const [expected, actual] = [await tokens(first), await tokens(second)];
    ok(expected.every((value, i) => Math.abs(value - actual[i]!) < 1e-6));
    await rejects(
      train(DATASET, {
        settings: parsed({ initFrom: first, prefixLength: 5 }),
        outDir: join(dir, "third"),
      }),
      /Cannot take virtual tokens from .*first: its 'prompt_embeddings' must be floating-point \[5,32\], got \[4,32\]$/,
    );
    await rejects(Deno.stat(join(dir, "third")), Deno.errors.NotFound);
  });
});

Deno.test("train() refuses more virtual tokens than the base has positions for", async () => {
  await withFolder({}, async (dir) => {
    await rejects(
      train(DATASET, { settings: parsed({ prefixLength: 13 }), outDir: join(dir, "run") }),
      /13 virtual tokens and 8 of a text are more than the base's 20 positions$/,
    );
    await rejects(Deno.stat(join(dir, "run")), Deno.errors.NotFound);
  });
});

Deno.test("train() says which layers there are where LoRA's targets are none of them", async () => {
  await withFolder({}, async (dir) => {
    const outDir = join(dir, "run");
    await rejects(
      train(DATASET, { settings: parsed({ mode: "lora", loraTargets: "query,q_proj" }), outDir }),
      /^UserError: Cannot use mode lora on '.*': the base has no layer 'q_proj'; there are query, key, value, dense$/,
    );
    await rejects(Deno.stat(outDir), Deno.errors.NotFound);
  });
});

Deno.test("mergedClassifier() gives the answers of LoRA's adapter, and refuses a prefix", async () => {
  await withFolder({}, async (dir) => {
    const [adapter, merged, prefix] = ["adapter", "merged", "prefix"].map((it) => join(dir, it));
    const settings = { learningRate: 0.05, epochs: 2 };
    await train(DATASET, { settings: parsed({ mode: "lora", ...settings }), outDir: adapter! });
    await saveClassifier(merged!, await mergedClassifier(adapter!));
    await using executor = await Executor.start({ threads: 1 });
    const texts = DATASET.validation.map(({ text }) => text);
    const answers = async (model: string) =>
      (await (await TextClassifier.load(executor, model)).scores(texts)).flat();
    const [expected, actual] = [await answers(adapter!), await answers(merged!)];
    ok(expected.every((value, i) => Math.abs(value - actual[i]!) < 1e-6));
    await train(DATASET, { settings: parsed({ epochs: 1 }), outDir: prefix! });
    await rejects(mergedClassifier(prefix!), /virtual tokens stand beside the weights/);
    await rejects(mergedClassifier(merged!), /it holds no adapter/);
  });
});
