import { deepStrictEqual, ok } from "node:assert";
import { Random } from "../lib/random.ts";
import { calibrated } from "../models/heads/calibration.ts";
import { fitCalibration, fitThresholds } from "./calibrate.ts";

const SINGLE = { problemType: "single_label_classification", labels: ["a", "b", "c"] } as const;
const SEVERAL = { problemType: "multi_label_classification", labels: ["a", "b"] } as const;

/** Draws the index of one of some probabilities. */
function draw(probabilities: readonly number[], random: Random): number {
  let left = random.uniform();
  return Math.max(0, probabilities.findIndex((p) => (left -= p) < 0));
}

function softmax(logits: readonly number[]): number[] {
  const sum = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
  return logits.map((logit) => Math.exp(logit) / sum);
}

const logistic = (logit: number) => 1 / (1 + Math.exp(-logit));

Deno.test("fitCalibration() finds the temperature by which logits are too large", () => {
  const random = new Random(1);
  const logits = Array.from({ length: 2000 }, () => SINGLE.labels.map(() => 2 * random.normal()));
  const labels = logits.map((row) => {
    const label = draw(softmax(row), random);
    return row.map((_, i) => Number(i === label));
  });
  const sure = logits.map((row) => Float32Array.from(row, (logit) => 4 * logit));
  const { scales, biases } = fitCalibration(sure, labels, SINGLE)!;
  deepStrictEqual(biases, [0, 0, 0]);
  for (const scale of scales) ok(Math.abs(scale - 1 / 4) < 0.03, `${scale}`);
});

Deno.test("fitCalibration() finds a line for each of several labels", () => {
  const random = new Random(2);
  const logits = Array.from({ length: 4000 }, () => SEVERAL.labels.map(() => 2 * random.normal()));
  const labels = logits.map((row) =>
    row.map((logit) => Number(random.uniform() < logistic(logit)))
  );
  const raw = logits.map(([a, b]) => Float32Array.of(3 * a! + 1, (b! - 2) / 2));
  const calibration = fitCalibration(raw, labels, SEVERAL)!;
  for (const [i, row] of raw.entries()) {
    for (const [label, logit] of calibrated(row, calibration).entries()) {
      ok(Math.abs(logistic(logit) - logistic(logits[i]![label]!)) < 0.06);
    }
  }
});

Deno.test("fitCalibration() leaves alone what is calibrated, upside down, of one kind, or a number", () => {
  const random = new Random(5);
  const logits = Array.from({ length: 2000 }, () => Float32Array.of(2 * random.normal(), 0));
  const labels = logits.map(([a]) => {
    const is = Number(random.uniform() < logistic(a!));
    return [is, 1 - is];
  });
  const two = { ...SINGLE, labels: ["a", "b"] };
  deepStrictEqual(fitCalibration(logits, labels, two), undefined);
  const wrong = logits.map(([a]) => Float32Array.of(-5 * a!, 0));
  deepStrictEqual(fitCalibration(wrong, labels, two), undefined);
  const none = labels.map(() => [0, 0]);
  deepStrictEqual(fitCalibration(logits, none, SEVERAL), undefined);
  const number = { problemType: "regression", labels: ["LABEL_0"] } as const;
  deepStrictEqual(fitCalibration([Float32Array.of(1)], [[9]], number), undefined);
});

Deno.test("fitThresholds() finds where F1 is best, and keeps to one half where little is known", () => {
  const random = new Random(4);
  const texts = Array.from({ length: 1000 }, () => {
    const score = random.uniform();
    // The first class is true from 0.2 on, the second is rare, the third has the usual threshold.
    return {
      scores: [score, score, score],
      labels: [Number(score >= 0.2), Number(score > 0.997), Number(score >= 0.5)],
    };
  });
  const [low, rare, usual] = fitThresholds(
    texts.map(({ scores }) => scores),
    texts.map(({ labels }) => labels),
  );
  ok(Math.abs(low! - 0.2) < 0.01, `${low}`);
  deepStrictEqual([rare, usual], [0.5, 0.5]);
});
