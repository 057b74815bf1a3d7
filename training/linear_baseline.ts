/**
 * The figure that a fine-tuned model has to beat.
 *
 * @module
 */
import type { Example } from "../data/examples.ts";
import { labelRow, type Problem } from "../data/labels.ts";
import { LinearBaseline } from "../data/preparation/linear_baseline.ts";
import { headline } from "./evaluation.ts";
import type { TrainResult } from "./events.ts";

/** Classes times rows that a linear model learns in about five seconds. */
const MAX_WORK = 1e5;

/**
 * How good a linear model is that is trained on the same texts.
 *
 * @param measured The texts on which the other model is measured.
 */
export function linearBaseline(
  train: readonly Example[],
  measured: readonly Example[],
  problem: Problem,
): TrainResult["linear_baseline"] {
  const { problemType, labels } = problem;
  if (problemType !== "single_label_classification") return null;
  if (labels.length * train.length > MAX_WORK) return null;
  const classes = new Map(labels.map((label, index) => [label, index]));
  const linear = LinearBaseline.fit(
    train.map(({ text }) => text),
    train.map(({ label }) => classes.get(label)!),
    labels.length,
  );
  const predictions = measured.map(({ text, label }) => {
    const predicted = labels[linear.predict(text)]!;
    return { text, labels: labelRow(label, problem), scores: labelRow(predicted, problem) };
  });
  const { problem_type: _, ...figures } = headline(predictions, problem);
  return figures as TrainResult["linear_baseline"];
}
