/**
 * Weighs several models whose logits are added up.
 *
 * @module
 */
import { inverse, Matrix } from "ml-matrix";
import type { ProblemType } from "../data/labels.ts";
import { scoresOf } from "../models/inference/inference.ts";
import { lossOf } from "./loss.ts";

/** Logits of one model, a row a text: `[texts][labels]`. */
export type LogitRows = readonly ArrayLike<number>[];

const MAX_STEPS = 50;
const MAX_HALVINGS = 30;
/** Keeps factors that the texts do not determine near zero. */
const RIDGE = 1e-6;
const TOLERANCE = 1e-10;

/**
 * The least decrease in the loss of all texts together that makes one more parameter worth having.
 * Twice the gain in log-likelihood by one more parameter is larger than 4 by chance in one case of
 * twenty (Wilks, 1938).
 */
export const LEAST_GAIN = 2;

/** The result of {@link fitScales}. */
export interface FittedScales {
  /** The factor of each model's logits, none below zero. */
  scales: number[];
  /** The mean loss of a text under them. */
  loss: number;
}

/**
 * Finds the factors with which the sum of the models' logits has the least loss on texts that no
 * model was trained on: the loss of training. With one model this is temperature scaling (Guo et
 * al., 2017, "On Calibration of Modern Neural Networks"), the factor being one over the
 * temperature; with several it is stacking (Wolpert, 1992, "Stacked generalization") with one
 * weight a model. The loss is convex in the factors, so Newton's method finds the only minimum.
 *
 * @param models The logits of one or more models for the same texts and labels.
 * @param labels `[texts][labels]`, rows as `labelRow` makes them.
 */
export function fitScales(
  models: readonly LogitRows[],
  labels: readonly (readonly number[])[],
  problemType: ProblemType,
): FittedScales {
  const targets = smoothed(labels, problemType);
  let used = [...models.keys()];
  let fitted: number[] = [];
  while (used.length > 0) {
    fitted = minimum(used.map((model) => models[model]!), targets, problemType);
    const least = Math.min(...fitted);
    if (least >= 0) break;
    // A model that does best with a negative factor has nothing to say.
    used = used.filter((_, i) => fitted[i] !== least);
  }
  const scales = models.map((_, model) => fitted[used.indexOf(model)] ?? 0);
  return { scales, loss: meanLoss(models, labels, problemType, scales) };
}

/**
 * Finds the factor and the constant with which one logit predicts the labels best (Platt, 1999).
 *
 * @param labels 1 or 0 a text.
 * @returns `undefined` if all labels are the same, if the factor would not be positive, or if the
 * texts do not show that it helps.
 */
export function fitLine(
  logits: readonly number[],
  labels: readonly number[],
): { scale: number; bias: number } | undefined {
  if (new Set(labels).size < 2) return undefined;
  const problemType = "multi_label_classification";
  const rows = labels.map((label) => [label]);
  const models = [logits.map((logit) => [logit]), logits.map(() => [1])];
  const [scale, bias] = minimum(models, smoothed(rows, problemType), problemType) as [
    number,
    number,
  ];
  const gain = meanLoss(models, rows, problemType, [1, 0]) -
    meanLoss(models, rows, problemType, [scale, bias]);
  return scale > 0 && gain * labels.length > LEAST_GAIN ? { scale, bias } : undefined;
}

/**
 * Turns labels into probabilities that stay off 0 and 1 by as much as the number of texts leaves
 * open (Platt, 1999, "Probabilistic outputs for support vector machines"): otherwise no factor
 * would be large enough where all are predicted right.
 */
function smoothed(
  labels: readonly (readonly number[])[],
  problemType: ProblemType,
): readonly (readonly number[])[] {
  if (problemType === "regression") return labels;
  const doubt = 1 / (labels.length + 2);
  return labels.map((row) => {
    const share = problemType === "single_label_classification" ? 1 / row.length : 1 / 2;
    return row.map((label) => (1 - doubt) * label + doubt * share);
  });
}

/** The mean loss of a text under some factors. */
function meanLoss(
  models: readonly LogitRows[],
  labels: readonly (readonly number[])[],
  problemType: ProblemType,
  scales: readonly number[],
): number {
  const losses = labels.map((row, text) =>
    lossOf(pooledLogits(models.map((rows) => rows[text]!), scales, row.length), row, problemType)
  );
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}

/** Adds up the logits of one text by each model, times the model's scale: `[labels]`. */
export function pooledLogits(
  logits: readonly ArrayLike<number>[],
  scales: readonly number[],
  labelCount: number,
): Float32Array {
  return Float32Array.from(
    { length: labelCount },
    (_, label) => logits.reduce((sum, row, model) => sum + scales[model]! * row[label]!, 0),
  );
}

/** Finds the factors with the least loss, whatever their signs. */
function minimum(
  models: readonly LogitRows[],
  labels: readonly (readonly number[])[],
  problemType: ProblemType,
): number[] {
  let scales = models.map(() => 1 / models.length);
  let loss = meanLoss(models, labels, problemType, scales);
  for (let step = 0; step < MAX_STEPS; step++) {
    const direction = newtonStep(models, labels, problemType, scales);
    let size = 1;
    let [next, nextLoss] = [scales, loss];
    for (let halving = 0; halving < MAX_HALVINGS; halving++, size /= 2) {
      next = scales.map((scale, model) => scale - size * direction[model]!);
      nextLoss = meanLoss(models, labels, problemType, next);
      if (nextLoss <= loss) break;
    }
    const improvement = loss - nextLoss;
    if (!(improvement > 0)) break;
    [scales, loss] = [next, nextLoss];
    if (improvement < TOLERANCE) break;
  }
  return scales;
}

/** The gradient of the loss in the scales, times the inverse of its second derivatives. */
function newtonStep(
  models: readonly LogitRows[],
  labels: readonly (readonly number[])[],
  problemType: ProblemType,
  scales: readonly number[],
): number[] {
  const gradient = Matrix.zeros(models.length, 1);
  const hessian = Matrix.eye(models.length).mul(RIDGE);
  for (const [text, row] of labels.entries()) {
    const logits = models.map((rows) => Array.from(rows[text]!));
    const predicted = scoresOf(pooledLogits(logits, scales, row.length), problemType);
    // The loss is the mean over labels where each is a question of its own.
    const weight = problemType === "single_label_classification" ? 1 : 1 / row.length;
    const means = logits.map((z) => dot(z, predicted));
    for (const [m, z] of logits.entries()) {
      gradient.set(m, 0, gradient.get(m, 0) + weight * dot(z, minus(predicted, row)));
      for (const [n, other] of logits.entries()) {
        const curvature = curvatureOf(z, other, predicted, problemType) -
          (problemType === "single_label_classification" ? means[m]! * means[n]! : 0);
        hessian.set(m, n, hessian.get(m, n) + weight * curvature);
      }
    }
  }
  return inverse(hessian).mmul(gradient).to1DArray();
}

/** Σ z z' times the derivative of each score by its own logit, without a softmax's other term. */
function curvatureOf(
  z: readonly number[],
  other: readonly number[],
  predicted: readonly number[],
  problemType: ProblemType,
): number {
  const derivative = (p: number) => {
    switch (problemType) {
      case "single_label_classification":
        return p;
      case "multi_label_classification":
        return p * (1 - p);
      case "regression":
        return 1;
    }
  };
  return z.reduce(
    (sum, value, label) => sum + value * other[label]! * derivative(predicted[label]!),
    0,
  );
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
}

function minus(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, i) => value - b[i]!);
}
