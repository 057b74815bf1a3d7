/**
 * The losses of transformers' `BertForSequenceClassification`, by the kind of problem: as nodes of a
 * graph, which training differentiates, and as functions of known logits, for evaluation.
 *
 * @module
 */
import type { ProblemType } from "../data/labels.ts";
import type { Tensor } from "../onnx/graph/graph.ts";
import {
  logSoftmax,
  mul,
  neg,
  reduceMean,
  reduceSum,
  softplus,
  sub,
} from "../onnx/graph/operators.ts";

/**
 * Appends the nodes of a loss.
 *
 * @param logits `[batch, labels]`
 * @param labels `[batch, labels]`, rows as `labelRow` makes them
 * @returns The loss of each example, `[batch]`.
 */
export function appendLoss(logits: Tensor, labels: Tensor, problemType: ProblemType): Tensor {
  switch (problemType) {
    case "single_label_classification":
      return neg(reduceSum(mul(logSoftmax(logits), labels), [1]));
    case "multi_label_classification":
      return reduceMean(sub(softplus(logits), mul(logits, labels)), [1]);
    case "regression": {
      const error = sub(logits, labels);
      return reduceMean(mul(error, error), [1]);
    }
  }
}

/**
 * The loss of one example.
 *
 * @param logits `[labels]`
 * @param labels `[labels]`, as `labelRow` makes it; for one class a text any probabilities will do
 */
export function lossOf(
  logits: ArrayLike<number>,
  labels: readonly number[],
  problemType: ProblemType,
): number {
  switch (problemType) {
    case "single_label_classification":
      return logSumExp(logits) - labels.reduce((sum, label, i) => sum + label * logits[i]!, 0);
    case "multi_label_classification":
      return mean(labels.map((label, i) => {
        const logit = logits[i]!;
        return Math.max(logit, 0) + Math.log1p(Math.exp(-Math.abs(logit))) - logit * label;
      }));
    case "regression":
      return mean(labels.map((label, i) => (logits[i]! - label) ** 2));
  }
}

/** The logarithm of the sum of exponentials, without overflow. */
function logSumExp(logits: ArrayLike<number>): number {
  const values = Array.from(logits);
  const largest = Math.max(...values);
  return largest +
    Math.log(values.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
