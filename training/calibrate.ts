/**
 * Fits the calibration and the thresholds of a network, on texts that it was not trained on.
 *
 * @module
 */
import type { Calibration } from "../models/formats/config.ts";
import { calibrated } from "../models/heads/calibration.ts";
import { THRESHOLD } from "../models/inference/inference.ts";
import type { Problem } from "../data/labels.ts";
import { lossOf } from "./loss.ts";
import { fitLine, fitScales, LEAST_GAIN, type LogitRows } from "./stacking.ts";

/**
 * Fits a temperature for one class a text (Guo et al., 2017), or a factor and a constant for each
 * of several (Platt, 1999).
 *
 * @param logits `[texts][labels]`
 * @param labels `[texts][labels]`, rows as `labelRow` makes them
 * @returns `undefined` if the texts do not show that it helps, and for numbers.
 */
export function fitCalibration(
  logits: readonly Float32Array[],
  labels: readonly (readonly number[])[],
  { problemType, labels: names }: Problem,
): Calibration | undefined {
  switch (problemType) {
    case "single_label_classification": {
      const [scale] = fitScales([logits], labels, problemType).scales as [number];
      const calibration = { scales: names.map(() => scale), biases: names.map(() => 0) };
      const loss = (rows: LogitRows) =>
        rows.reduce((sum, row, i) => sum + lossOf(row, labels[i]!, problemType), 0);
      const gain = loss(logits) - loss(logits.map((row) => calibrated(row, calibration)));
      return scale > 0 && gain > LEAST_GAIN ? calibration : undefined;
    }
    case "multi_label_classification": {
      const lines = names.map((_, label) =>
        fitLine(logits.map((row) => row[label]!), labels.map((row) => row[label]!))
      );
      if (lines.every((line) => line === undefined)) return undefined;
      return {
        scales: lines.map((line) => line?.scale ?? 1),
        biases: lines.map((line) => line?.bias ?? 0),
      };
    }
    case "regression":
      return undefined;
  }
}

/** The fewest texts with a class, and without it, that give it a threshold of its own. */
const MIN_TEXTS = 10;
/** The number of parts of the texts; the threshold for each is found on the others. */
const FOLDS = 5;

/**
 * Finds the threshold of each class, at which it is predicted where a text may have
 * several: the score with the best F1, if it also does better than {@link THRESHOLD} on texts that
 * it was not chosen on.
 *
 * @param scores `[texts][labels]`
 * @param labels `[texts][labels]`, rows as `labelRow` makes them
 */
export function fitThresholds(
  scores: readonly (readonly number[])[],
  labels: readonly (readonly number[])[],
): number[] {
  const count = scores[0]?.length ?? 0;
  return Array.from({ length: count }, (_, label) => {
    const texts = scores.map((row, i) => ({ score: row[label]!, is: labels[i]![label] === 1 }));
    const having = texts.filter(({ is }) => is).length;
    if (Math.min(having, texts.length - having) < MIN_TEXTS) return THRESHOLD;
    const hits = { chosen: new Hits(), fixed: new Hits() };
    for (let fold = 0; fold < FOLDS; fold++) {
      const threshold = bestThreshold(texts.filter((_, i) => i % FOLDS !== fold));
      for (const [i, { score, is }] of texts.entries()) {
        if (i % FOLDS !== fold) continue;
        hits.chosen.add(score >= threshold, is);
        hits.fixed.add(score >= THRESHOLD, is);
      }
    }
    return hits.chosen.f1 > hits.fixed.f1 ? bestThreshold(texts) : THRESHOLD;
  });
}

/** The counts for F1. */
class Hits {
  #right = 0;
  #sum = 0;

  add(predicted: boolean, is: boolean): void {
    this.#right += Number(predicted && is);
    this.#sum += Number(predicted) + Number(is);
  }

  get f1(): number {
    return this.#sum === 0 ? 0 : 2 * this.#right / this.#sum;
  }
}

/** The threshold with the best F1, half-way between two scores; of equal ones the highest. */
function bestThreshold(texts: readonly { score: number; is: boolean }[]): number {
  const sorted = texts.toSorted((a, b) => b.score - a.score);
  const having = texts.filter(({ is }) => is).length;
  let [right, best, threshold] = [0, 0, THRESHOLD];
  for (const [i, { score, is }] of sorted.entries()) {
    right += Number(is);
    const next = sorted[i + 1]?.score ?? 0;
    if (next === score) continue;
    const f1 = 2 * right / (i + 1 + having);
    if (f1 > best) [best, threshold] = [f1, (score + next) / 2];
  }
  return threshold;
}
