import { match, ok } from "node:assert";
import type { TrainResult } from "./events.ts";
import { modelCard } from "./model_card.ts";
import { TrainSettings } from "./settings.ts";

const RESULT: TrainResult = {
  run: "titles",
  model_dir: "runs/titles",
  steps: 40,
  epochs: 4,
  best_epoch: 3,
  device: "wasm",
  tokens_per_second: 1000,
  metrics: {
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
const DATASET = { labels: ["food", "music"], train: [], validation: [], test: [] };

Deno.test("modelCard() gives the figures with their intervals and the leakage", () => {
  const card = modelCard({ result: RESULT, settings: TrainSettings.parse({}), dataset: DATASET });
  match(card, /^---\nlibrary_name: transformers\n/);
  match(card, /fine-tuned from `scratch:tiny` \(mode `full`\)/);
  match(card, /Classes: `food`, `music`\./);
  match(card, /\| accuracy \| 0\.900 \| 0\.840 \| 0\.950 \|/);
  match(card, /80 of these texts stand word for word in the training file\. On the other 20/);
});

Deno.test("modelCard() says when no text was seen in training", () => {
  const metrics = { ...RESULT.metrics, seen: { n: 0, accuracy: 0, f1_macro: 0 } };
  const result = { ...RESULT, metrics };
  const card = modelCard({ result, settings: TrainSettings.parse({}), dataset: DATASET });
  ok(card.includes("None of these texts stands in the training file."));
});
