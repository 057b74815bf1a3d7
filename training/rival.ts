/**
 * Compares a model with others on the same texts.
 *
 * @module
 */
import type { Problem } from "../data/labels.ts";
import { predictedClasses } from "../models/inference/inference.ts";
import { headline, intervalsOf, type Prediction } from "./evaluation.ts";
import { contingencyOf, mcnemarP } from "./mcnemar.ts";
import type { Headline, Metric } from "./metrics.ts";

/** The figures of another model on the texts of the result. */
export type Rival = Headline & {
  /** 95 % bootstrap intervals, like those of the result. */
  interval: Partial<Record<Metric, [number, number]>>;
  /**
   * The probability that two equal models differ as much as this one and the result, on the same
   * texts: by McNemar's exact test, or for numbers by the sign test of the errors.
   */
  p_value: number;
};

/**
 * Measures a model beside the result.
 *
 * @param predictions The predictions of the model.
 * @param result The predictions of the result, for the same texts in the same order.
 */
export function rivalOf(
  predictions: readonly Prediction[],
  result: readonly Prediction[],
  problem: Problem,
): Rival {
  return {
    ...headline(predictions, problem),
    interval: intervalsOf(predictions, problem),
    p_value: mcnemarP(contingencyOf(...whoIsRight(predictions, result, problem))),
  };
}

/** Whether each of two models is right on each text; for numbers, whether it is nearer. */
function whoIsRight(
  first: readonly Prediction[],
  second: readonly Prediction[],
  problem: Problem,
): [boolean[], boolean[]] {
  if (problem.problemType !== "regression") {
    const right = (rows: readonly Prediction[]) =>
      rows.map(({ labels, scores }) => {
        const predicted = new Set(predictedClasses(scores, problem));
        return labels.every((label, index) => (label === 1) === predicted.has(index));
      });
    return [right(first), right(second)];
  }
  const error = ({ labels, scores }: Prediction) => Math.abs(scores[0]! - labels[0]!);
  const nearer = (rows: readonly Prediction[], others: readonly Prediction[]) =>
    rows.map((row, i) => error(row) < error(others[i]!));
  return [nearer(first, second), nearer(second, first)];
}
