/**
 * The metrics of each kind of problem: their names, and those by which epochs are compared.
 *
 * @module
 */
import type { ProblemType } from "../data/labels.ts";

/** The metrics of each kind of problem, under the keys of `eval --json`. */
export const METRICS = {
  single_label_classification: ["accuracy", "f1_macro"],
  multi_label_classification: ["accuracy", "f1_macro", "f1_micro"],
  regression: ["mse", "rmse", "mae", "pearson", "r2"],
} as const satisfies Record<ProblemType, readonly string[]>;

/** A metric of a kind of problem. */
export type MetricOf<Type extends ProblemType> = (typeof METRICS)[Type][number];

/** Any metric. */
export type Metric = MetricOf<ProblemType>;

/** Whether a kind of problem has a metric. */
export function isMetricOf(metric: Metric, problemType: ProblemType): boolean {
  return METRICS[problemType].some((name) => name === metric);
}

/** The metrics of some predictions, without the cost of intervals. */
export type Headline = {
  [Type in ProblemType]: { problem_type: Type } & Record<MetricOf<Type>, number>;
}[ProblemType];

/** The metrics' names in tables and sentences. */
export const METRIC_NAMES: Readonly<Record<Metric, string>> = {
  accuracy: "accuracy",
  f1_macro: "macro-F1",
  f1_micro: "micro-F1",
  mse: "MSE",
  rmse: "RMSE",
  mae: "MAE",
  pearson: "Pearson's r",
  r2: "R²",
};

/**
 * The metric by which epochs are compared where the settings name none. Accuracy would take epochs
 * in which rare classes are not learned yet.
 */
const DEFAULT_METRIC = {
  single_label_classification: "f1_macro",
  multi_label_classification: "f1_micro",
  regression: "mse",
} as const satisfies Record<ProblemType, Metric>;

/** A measure by which epochs can be compared: a metric or the loss on the validation file. */
export type Compared = Metric | "loss";

/** All measures by which epochs can be compared. */
export const COMPARED: readonly Compared[] = [
  ...METRICS.multi_label_classification,
  ...METRICS.regression,
  "loss",
];

const LESS_IS_BETTER: readonly Compared[] = ["loss", "mse", "rmse", "mae"];

/** The measure by which the epochs of a run are compared. */
export interface Comparison {
  metric: Compared;
  greaterIsBetter: boolean;
}

/** The measure by which the epochs of a run with these settings are compared. */
export function comparisonOf(
  { problemType, metric = DEFAULT_METRIC[problemType] }: {
    problemType: ProblemType;
    metric?: Compared | undefined;
  },
): Comparison {
  return { metric, greaterIsBetter: !LESS_IS_BETTER.includes(metric) };
}

/** Whether one value of a metric is better than another; an equal one is not. */
export function isBetter(value: number, other: number, { greaterIsBetter }: Comparison): boolean {
  return greaterIsBetter ? value > other : value < other;
}

/** The values of a problem's metrics, or their intervals, from an object that holds them. */
export function metricEntries<Value>(
  values: Partial<Record<Metric, Value>>,
  problemType: ProblemType,
): [Metric, Value][] {
  return METRICS[problemType].map((metric) => [metric, values[metric]!]);
}

/** Describes a problem's metrics in a sentence: `accuracy 0.931, macro-F1 0.912`. */
export function describeMetrics(
  values: Partial<Record<Metric, number>>,
  problemType: ProblemType,
  format: (value: number, metric: Metric) => string,
): string {
  return metricEntries(values, problemType)
    .map(([metric, value]) => `${METRIC_NAMES[metric]} ${format(value, metric)}`)
    .join(", ");
}

/** Three decimals, or four digits of an error so small or large that decimals tell nothing. */
export function decimals(value: number): string {
  const size = Math.abs(value);
  return size === 0 || (size >= 1e-3 && size < 1e6) ? value.toFixed(3) : value.toPrecision(4);
}
