/**
 * The linear model whose figure a fine-tuned model has to beat.
 *
 * @module
 */
import type { Examples } from "../data/example_file.ts";
import type { Example } from "../data/examples.ts";
import { labelRow, type Problem } from "../data/labels.ts";
import { LinearBaseline } from "../data/preparation/linear_baseline.ts";
import type { Prediction } from "./evaluation.ts";

/** Classes times rows that a linear model learns in some seconds, or half a minute of long texts. */
const MAX_WORK = 1e6;

/**
 * Predicts with a linear model that is trained on the same texts as the other model.
 *
 * @param measured The texts on which the other model is measured.
 * @returns `undefined` where that would take long, or the problem is not one class a text.
 */
export function linearBaseline(
  train: Examples,
  measured: readonly Example[],
  problem: Problem,
): Prediction[] | undefined {
  const { problemType, labels } = problem;
  if (problemType !== "single_label_classification") return undefined;
  if (labels.length * train.length > MAX_WORK) return undefined;
  const classes = new Map(labels.map((label, index) => [label, index]));
  const linear = LinearBaseline.fit(
    Array.from(train, ({ text }) => text),
    Array.from(train, ({ label }) => classes.get(label)!),
    labels.length,
  );
  return measured.map(({ text, label }) => {
    const predicted = labels[linear.predict(text)]!;
    return { text, labels: labelRow(label, problem), scores: labelRow(predicted, problem) };
  });
}
