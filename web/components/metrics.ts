/**
 * The figures of runs and evaluations: their names and formats.
 *
 * @module
 */
import type { Run } from "../api.ts";
import { decimals, percent } from "../format.ts";

/** The names of the metrics; the first of each kind of problem is used to compare runs. */
export const METRICS = {
  single_label_classification: { accuracy: "Accuracy", f1_macro: "Macro-F1" },
  multi_label_classification: {
    f1_micro: "Micro-F1",
    f1_macro: "Macro-F1",
    accuracy: "All labels right",
  },
  regression: { mse: "MSE", rmse: "RMSE", mae: "MAE", pearson: "Pearson's r", r2: "R²" },
} as const;

const ERRORS: readonly string[] = ["mse", "rmse", "mae"];

/** Whether a value of a metric is better than another: of errors the smaller one is. */
export function isBetter(key: string, value: number, other: number): boolean {
  return ERRORS.includes(key) ? value < other : value > other;
}

/** A kind of problem. */
export type ProblemType = keyof typeof METRICS;

/** Some metrics of a problem. */
export type MetricValues = { problem_type: ProblemType } & { [name: string]: unknown };

/** The metrics that are given, with their names. */
export function metricEntries(values: MetricValues): [key: string, name: string, value: number][] {
  return Object.entries(METRICS[values.problem_type]).flatMap(([key, name]) => {
    const value = values[key];
    return typeof value === "number" ? [[key, name, value] as [string, string, number]] : [];
  });
}

/** A metric's value; accuracies are percentages. */
export function metricValue(key: string, value: number): string {
  return key === "accuracy" ? percent(value) : decimals(value);
}

/** The main figure of a run, with the texts it was measured on. */
export function bestFigure(
  { result, progress }: Run,
): { key: string; name: string; value: string; split: string; number: number } | undefined {
  const values = result?.metrics ?? progress?.best;
  if (values === undefined) return undefined;
  const [first] = metricEntries(values);
  if (first === undefined) return undefined;
  const [key, name, value] = first;
  const split = result?.metrics.split ?? "validation";
  return { key, name, value: metricValue(key, value), split, number: value };
}

/** The interval of a metric. */
export function metricInterval(key: string, [low, high]: readonly number[] = []): string {
  if (low === undefined || high === undefined) return "–";
  return `${metricValue(key, low)} – ${metricValue(key, high)}`;
}
