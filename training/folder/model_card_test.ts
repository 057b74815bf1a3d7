import { match, ok } from "node:assert";
import type { SingleLabelReport } from "../evaluation.ts";
import type { TrainResult } from "../events.ts";
import { modelCard } from "./model_card.ts";
import { TrainSettings } from "../settings.ts";

const RESULT: TrainResult & { metrics: SingleLabelReport } = {
  run: "titles",
  model_dir: "runs/titles",
  steps: 40,
  epochs: 4,
  best_epoch: 3,
  device: "wasm",
  tokens_per_second: 1000,
  linear_baseline: { accuracy: 0.8, f1_macro: 0.75 },
  metrics: {
    problem_type: "single_label_classification",
    split: "test",
    n: 100,
    accuracy: 0.9,
    f1_macro: 0.85,
    f1_micro: 0.9,
    per_class: [],
    confusion_matrix: [],
    seen: { n: 80, accuracy: 0.95, f1_macro: 0.9 },
    unseen: { n: 20, accuracy: 0.7, f1_macro: 0.65, majority: 0.5 },
    majority: 0.4,
    interval: { accuracy: [0.84, 0.95], f1_macro: [0.8, 0.9] },
  },
};
const DATASET = {
  labels: ["food", "music"],
  train: [{ text: "pie", label: "food" }, { text: "duet", label: "music" }],
  validation: [{ text: "cake", label: "food" }],
  test: [{ text: "pie", label: "food" }, { text: "song", label: "music" }],
};

const SIZE = { parameterCount: 20_000, trainedCount: 5000, size: 20_480 };

Deno.test("modelCard() gives the figures with their intervals and the leakage", () => {
  const card = modelCard({
    result: RESULT,
    settings: TrainSettings.parse({}),
    dataset: DATASET,
    ...SIZE,
  });
  match(card, /^---\nlibrary_name: transformers\n/);
  match(card, /fine-tuned from `bundled` \(mode `full`\)/);
  match(card, /Classes: `food`, `music`\./);
  match(card, /\| accuracy \| 0\.900 \| 0\.840 \| 0\.950 \|/);
  match(card, /^5,000 of 20,000 numbers were trained \(25 %\), 1,000 tokens a second on\nwasm, /m);
  match(card, /the file of weights takes 21 kB\.$/m);
  match(card, /80 of these texts stand word for word in the training file\. On the other 20/);
  match(
    card,
    /^Seen in training: 1 of 2 test texts \(50\.0 %\), 0 of 1 validation texts \(0\.0 %\)\.$/m,
  );
});

Deno.test("modelCard() says when no text was seen in training", () => {
  const metrics = { ...RESULT.metrics, seen: { n: 0, accuracy: 0, f1_macro: 0 } };
  const result = { ...RESULT, metrics };
  const card = modelCard({ result, settings: TrainSettings.parse({}), dataset: DATASET, ...SIZE });
  ok(card.includes("None of these texts stands in the training file."));
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
  match(classes, /those that score 0\.5 or more: `food`, `music`\./);
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

Deno.test("modelCard() says what an adapter's folder holds and how PEFT loads it", () => {
  const settings = TrainSettings.parse({ mode: "prefix", model: "base", prefixLength: 8 });
  const card = modelCard({ result: RESULT, settings, dataset: DATASET, ...SIZE });
  match(card, /^---\nlibrary_name: peft\n/);
  match(card, /8 virtual tokens \(keys and values for every layer\)/);
  match(card, /PeftModel\.from_pretrained\(base, "FOLDER"\)/);
});
