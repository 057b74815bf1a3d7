import { deepStrictEqual, match, ok } from "node:assert";
import { basename, join } from "node:path";
import { exists } from "../../lib/files.ts";
import type { SingleLabelReport } from "../evaluation.ts";
import type { TrainResult } from "../events.ts";
import { type CardBase, cardBase, cardDataName, modelCard } from "./model_card.ts";
import { TrainSettings } from "../settings.ts";

const RESULT: TrainResult & { metrics: SingleLabelReport } = {
  run: "titles",
  model_dir: "runs/titles",
  steps: 40,
  epochs: 4,
  best_epoch: 3,
  device: "wasm",
  tokens_per_second: 1000,
  linear_baseline: {
    problem_type: "single_label_classification",
    accuracy: 0.8,
    f1_macro: 0.75,
    interval: { accuracy: [0.7, 0.9], f1_macro: [0.65, 0.85] },
    p_value: 0.01,
  },
  network_alone: null,
  metrics: {
    problem_type: "single_label_classification",
    split: "test",
    n: 100,
    accuracy: 0.9,
    f1_macro: 0.85,
    f1_micro: 0.9,
    per_class: [
      { label: "food", precision: 0.9, recall: 0.9, f1: 0.9, support: 50 },
      { label: "music", precision: 0.9, recall: 0.9, f1: 0.9, support: 50 },
    ],
    confusion_matrix: [[45, 5], [5, 45]],
    seen: { n: 80, accuracy: 0.95, f1_macro: 0.9 },
    unseen: { n: 20, accuracy: 0.7, f1_macro: 0.65, majority: 0.5 },
    majority: 0.4,
    expected_calibration_error: 0.03,
    uncalibrated_error: 0.12,
    coverage: [{ coverage: 1, score: 0.4, accuracy: 0.9 }],
    interval: { accuracy: [0.84, 0.95], f1_macro: [0.8, 0.9] },
  },
};
const DATASET = {
  labels: ["food", "music"],
  train: [{ text: "pie", label: "food" }, { text: "duet", label: "music" }],
  validation: [{ text: "cake", label: "food" }],
  test: [{ text: "pie", label: "food" }, { text: "song", label: "music" }],
};

const SIZE = { dataName: "my titles", parameterCount: 20_000, trainedCount: 5000, size: 20_480 };

Deno.test("modelCard() says what Graft alone does with long texts", () => {
  const card = (longTexts: "truncate" | "head-tail" | "chunk") =>
    modelCard({
      result: RESULT,
      settings: TrainSettings.parse({ longTexts, maxLength: 64 }),
      dataset: DATASET,
      ...SIZE,
    });
  ok(!card("truncate").includes("transformers sees only"));
  match(card("chunk"), /^Graft takes texts of more than 64 tokens in chunks, .* their start\.$/m);
  match(card("head-tail"), /^Graft takes texts of more than 64 tokens as a quarter from their /m);
});

Deno.test("modelCard() gives the figures with their intervals and the leakage", () => {
  const card = modelCard({
    result: RESULT,
    settings: TrainSettings.parse({}),
    dataset: DATASET,
    ...SIZE,
  });
  match(card, /^---\nlibrary_name: "transformers"\n/);
  match(card, /fine-tuned from `bundled` \(mode `full`\)/);
  match(card, /Classes: `food`, `music`\./);
  match(card, /\| accuracy \| 0\.900 \| 0\.840 \| 0\.950 \|/);
  match(card, /^5,000 of 20,000 numbers were trained \(25 %\), 1,000 tokens a second on\nwasm, /m);
  match(card, /the file of weights takes 21 kB\.$/m);
  match(card, /80 of these texts occur word for word in the training file\. On the other 20/);
  match(
    card,
    /^Seen in training: 1 of 2 test texts \(50\.0 %\), 0 of 1 validation texts \(0\.0 %\)\.$/m,
  );
});

Deno.test("modelCard() says when no text was seen in training", () => {
  const metrics = { ...RESULT.metrics, seen: { n: 0, accuracy: 0, f1_macro: 0 } };
  const result = { ...RESULT, metrics };
  const card = modelCard({ result, settings: TrainSettings.parse({}), dataset: DATASET, ...SIZE });
  ok(card.includes("None of these texts occurs in the training file."));
});

Deno.test("modelCard() tells of several labels and of numbers in their own metrics", () => {
  const settings = TrainSettings.parse({});
  const multi = { accuracy: 0.5, f1_macro: 0.6, f1_micro: 0.7 };
  const classes = modelCard({
    result: {
      ...RESULT,
      metrics: {
        problem_type: "multi_label_classification",
        split: "test",
        n: 10,
        ...multi,
        threshold: 0.5,
        thresholds: null,
        expected_calibration_error: 0.1,
        uncalibrated_error: null,
        per_class: [],
        seen: { n: 4, ...multi },
        unseen: { n: 6, ...multi },
        interval: { accuracy: [0.4, 0.6], f1_macro: [0.5, 0.7], f1_micro: [0.6, 0.8] },
      },
    },
    settings,
    dataset: DATASET,
    ...SIZE,
  });
  match(classes, /every class that scores 0\.5 or more: `food`, `music`\./);
  match(classes, /\| micro-F1 \| 0\.700 \| 0\.600 \| 0\.800 \|/);
  match(classes, /by validation micro-F1/);
  match(classes, /top_k=None/);
  ok(!classes.includes("commonest"));

  const regression = { mse: 0.25, rmse: 0.5, mae: 0.4, pearson: 0.9, r2: 0.8 };
  const range: [number, number] = [0.1, 0.3];
  const numbers = modelCard({
    result: {
      ...RESULT,
      metrics: {
        problem_type: "regression",
        split: "test",
        n: 10,
        ...regression,
        seen: null,
        unseen: null,
        interval: { mse: range, rmse: range, mae: range, pearson: range, r2: range },
      },
    },
    settings,
    dataset: { ...DATASET, labels: ["LABEL_0"] },
    ...SIZE,
  });
  match(numbers, /\| MSE \| 0\.250 \| 0\.100 \| 0\.300 \|/);
  match(numbers, /by validation MSE/);
  ok(!numbers.includes("Classes"));
});

const HUB_BASE: CardBase = { name: "owner/base", source: "owner/base", revision: "v1" };

Deno.test("modelCard() says what an adapter's folder holds and how PEFT loads it", () => {
  const settings = TrainSettings.parse({
    mode: "prefix",
    model: "owner/base@v1",
    prefixLength: 8,
  });
  const card = modelCard({ result: RESULT, settings, base: HUB_BASE, dataset: DATASET, ...SIZE });
  match(card, /^---\nlibrary_name: "peft"\n/);
  match(card, /8 virtual tokens \(keys and values for every layer\)/);
  match(card, /the base, which is `owner\/base@v1` on the Hugging Face hub,/);
  match(card, /^BASE = "owner\/base"$/m);
  match(card, /from_pretrained\(BASE, config=config, revision="v1"\)/);
  match(card, /PeftModel\.from_pretrained\(base, "\."\)/);
  match(card, /transformers<5\.24/);
});

/** The metadata between the lines of hyphens. */
function metadataOf(card: string): Record<string, unknown> {
  const lines = card.split("\n---\n")[0]!.split("\n").slice(1);
  return Object.fromEntries(lines.map((line) => {
    const [, key, value] = /^([\w-]+): (.*)$/.exec(line)!;
    return [key, JSON.parse(value!)];
  }));
}

Deno.test("modelCard() begins with what the hub reads: base, license, data and figures", () => {
  const base = { ...HUB_BASE, license: "apache-2.0" };
  const settings = TrainSettings.parse({});
  const card = { result: RESULT, settings, base, dataset: DATASET, ...SIZE };
  deepStrictEqual(metadataOf(modelCard(card)), {
    library_name: "transformers",
    pipeline_tag: "text-classification",
    tags: ["graft"],
    license: "apache-2.0",
    base_model: "owner/base",
    datasets: ["my titles"],
    metrics: ["accuracy", "f1"],
    "model-index": [{
      name: "titles",
      results: [{
        task: { type: "text-classification", name: "Text Classification" },
        dataset: { name: "my titles", type: "my titles", split: "test" },
        metrics: [
          { type: "accuracy", name: "accuracy", value: 0.9 },
          { type: "f1", name: "macro-F1", value: 0.85 },
        ],
      }],
    }],
  });
  const given = TrainSettings.parse({ license: "mit" });
  deepStrictEqual(metadataOf(modelCard({ ...card, settings: given }))["license"], "mit");
  const { base: _, ...scratch } = card;
  const { license, base_model } = metadataOf(modelCard(scratch));
  deepStrictEqual([license, base_model], ["unknown", undefined]);
});

Deno.test("modelCard() calls a weak model weak, and names few of very many classes", () => {
  const labels = Array.from({ length: 2000 }, (_, i) => `class ${i}`);
  const result = {
    ...RESULT,
    linear_baseline: { ...RESULT.linear_baseline!, accuracy: 0.95, f1_macro: 0.9 },
  };
  const card = modelCard({
    result,
    settings: TrainSettings.parse({}),
    dataset: { ...DATASET, labels },
    ...SIZE,
  });
  match(card, /\| accuracy of a linear model on TF-IDF \| 0\.950 \|/);
  match(card, /^It stays below a linear model on TF-IDF/m);
  match(card, /`class 19`, … \(2,000 in all\)\.$/m);
});

Deno.test("cardBase() finds the base of any kind, and the license that its card names", async () => {
  deepStrictEqual(await cardBase("scratch:tiny"), undefined);
  const bundled = await cardBase("bundled");
  deepStrictEqual([bundled?.name, bundled?.license], ["bundled", "mit"]);
  ok(await exists(join(bundled!.source, "config.json")));
  const dir = await Deno.makeTempDir();
  try {
    deepStrictEqual(await cardBase(dir), { name: basename(dir), source: dir, license: undefined });
    await Deno.writeTextFile(join(dir, "README.md"), "---\nlicense: cc-by-4.0\n---\n# A base\n");
    deepStrictEqual((await cardBase(dir))?.license, "cc-by-4.0");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("cardDataName() names the folder, or the table that was split for a run", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${dir}/run/data`, { recursive: true });
    deepStrictEqual(await cardDataName(`${dir}/run/`), "run");
    deepStrictEqual(await cardDataName(`${dir}/run/data`), "data");
    const record = { input: { file: "support tickets.csv", bytes: 4 } };
    await Deno.writeTextFile(`${dir}/run/data/dataset.json`, JSON.stringify(record));
    deepStrictEqual(await cardDataName(`${dir}/run/data`), "support tickets");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
