/**
 * Measures how good a model's predictions are.
 *
 * @module
 */
import type { Problem, ProblemType } from "../data/labels.ts";
import { argMax, predictedClasses, THRESHOLD } from "../models/inference/inference.ts";
import { Random } from "../lib/random.ts";
import type { SeenTexts } from "./folder/seen_texts.ts";
import {
  calibrationOf,
  coverageOf,
  type CoveragePoint,
  type ScoredPrediction,
} from "./calibration_error.ts";
import type { Headline, Metric, MetricOf } from "./metrics.ts";

/** The files of a data set on which a model is measured. */
export const MEASURED_SPLITS = ["test", "validation"] as const;

/** The file of a data set on which a model is measured. */
export type MeasuredSplit = typeof MEASURED_SPLITS[number];

/** A prediction next to the truth. */
export interface Prediction {
  text: string;
  /** `[labels]`, as `labelRow` makes it. */
  labels: readonly number[];
  /** `[labels]`, as `scoresOf` makes it. */
  scores: readonly number[];
  /** The scores of the network alone before calibration, `[labels]`, where they are known. */
  uncalibrated?: readonly number[];
}

/** The metrics of one class. */
export interface ClassReport {
  /** The class. */
  label: string;
  /** The share that is right of the texts that got the class. */
  precision: number;
  /** The share that got the class of the texts that have it. */
  recall: number;
  /** The harmonic mean of precision and recall. */
  f1: number;
  /** The number of texts that have the class. */
  support: number;
}

/** The metrics on some texts, and the number of texts. */
export type Figures<Name extends Metric> = { n: number } & Record<Name, number>;

/** The part of every report beside its metrics. */
export interface Breakdown<Name extends Metric> {
  /** The metrics on the texts that the model was trained on; `null` if those are not known. */
  seen: Figures<Name> | null;
  /** The metrics on the other texts. */
  unseen: Figures<Name> | null;
  /** 95 % bootstrap intervals, resampling distinct texts. */
  interval: Record<Name, [number, number]>;
}

/** The part of the reports that each kind of problem has, with its metrics. */
export type ReportOf<Type extends ProblemType> =
  & { problem_type: Type }
  & Figures<MetricOf<Type>>
  & Breakdown<MetricOf<Type>>;

/** The calibration errors of scores. */
export interface CalibrationErrors {
  /** The mean distance between scores and the share that is right. */
  expected_calibration_error: number;
  /** The same for the network alone before calibration; `null` where it is not known. */
  uncalibrated_error: number | null;
}

/** A report on one class a text. */
export interface SingleLabelReport
  extends ReportOf<"single_label_classification">, CalibrationErrors {
  /** The accuracy of the surest predictions, by their share of the texts. */
  coverage: CoveragePoint[];
  /** The micro-averaged F1, which equals the accuracy where each text has one class. */
  f1_micro: number;
  /** The metrics of each class, in the order of the model's labels. */
  per_class: ClassReport[];
  /** Rows are true classes, columns predicted ones. */
  confusion_matrix: number[][];
  /** The accuracy of always predicting the commonest class. */
  majority: number;
  /** The metrics on the other texts, with the accuracy of predicting their commonest class. */
  unseen: (Figures<MetricOf<"single_label_classification">> & { majority: number }) | null;
}

/** A report on any number of classes a text; a text counts as right if all its classes are. */
export interface MultiLabelReport
  extends ReportOf<"multi_label_classification">, CalibrationErrors {
  /** The score at which a class is predicted, if it has no threshold of its own. */
  threshold: number;
  /** The thresholds of the classes, if they have their own. */
  thresholds: readonly number[] | null;
  /** The metrics of each class, in the order of the model's labels. */
  per_class: ClassReport[];
}

/** A report on predicted numbers. */
export type RegressionReport = ReportOf<"regression">;

/** The result of {@link evaluate}; the keys are those of `eval --json`. */
export type EvaluationReport = SingleLabelReport | MultiLabelReport | RegressionReport;

const RESAMPLES = 1000;
const RESAMPLING_SEED = 1;

/** The metrics alone, without the cost of intervals. */
export function headline(predictions: readonly Prediction[], problem: Problem): Headline {
  const { problemType, labels } = problem;
  switch (problemType) {
    case "single_label_classification": {
      const rows = classified(predictions, problem);
      return { problem_type: problemType, ...singleLabelMetrics(rows, labels.length) };
    }
    case "multi_label_classification": {
      const rows = classified(predictions, problem);
      return { problem_type: problemType, ...multiLabelMetrics(rows, labels.length) };
    }
    case "regression":
      return { problem_type: problemType, ...regressionMetrics(predictions) };
  }
}

/**
 * Compares predictions with the truth. A ratio with a denominator of 0 is 0. Macro averages are as
 * in scikit-learn: over the classes that are predicted or true at least once where a text has one
 * class, over all classes where it may have several.
 *
 * @param seenTexts The texts that the model was trained on, where they are known.
 */
export function evaluate(
  predictions: readonly Prediction[],
  problem: Problem,
  seenTexts: SeenTexts | undefined,
): EvaluationReport {
  const { problemType, labels } = problem;
  const classCount = labels.length;
  switch (problemType) {
    case "single_label_classification": {
      const rows = classified(predictions, problem);
      const metrics = (rows: readonly Classified[]) => singleLabelMetrics(rows, classCount);
      const majority = (rows: readonly Classified[]) => Tally.of(rows, classCount).majority();
      const { unseen, ...measured } = measure(rows, metrics, seenTexts);
      return {
        problem_type: problemType,
        ...measured,
        f1_micro: measured.accuracy,
        per_class: Tally.of(rows, classCount).classReports(labels),
        confusion_matrix: confusionMatrix(rows, classCount),
        unseen: unseen &&
          { ...unseen, majority: majority(rows.filter(({ text }) => !seenTexts!.has(text))) },
        majority: majority(rows),
        ...believable(predictions, topPredictions),
        coverage: coverageOf(
          topPredictions(predictions.map(({ labels, scores }) => [labels, scores])),
        ),
      };
    }
    case "multi_label_classification": {
      const rows = classified(predictions, problem);
      const metrics = (rows: readonly Classified[]) => multiLabelMetrics(rows, classCount);
      return {
        problem_type: problemType,
        ...measure(rows, metrics, seenTexts),
        threshold: THRESHOLD,
        thresholds: problem.thresholds ?? null,
        ...believable(predictions, allPredictions),
        per_class: Tally.of(rows, classCount).classReports(labels),
      };
    }
    case "regression":
      return { problem_type: problemType, ...measure(predictions, regressionMetrics, seenTexts) };
  }
}

/** The intervals of {@link evaluate} alone. */
export function intervalsOf(
  predictions: readonly Prediction[],
  problem: Problem,
): Partial<Record<Metric, [number, number]>> {
  const { problemType, labels } = problem;
  switch (problemType) {
    case "single_label_classification":
      return bootstrapIntervals(
        classified(predictions, problem),
        (rows) => singleLabelMetrics(rows, labels.length),
      );
    case "multi_label_classification":
      return bootstrapIntervals(
        classified(predictions, problem),
        (rows) => multiLabelMetrics(rows, labels.length),
      );
    case "regression":
      return bootstrapIntervals(predictions, regressionMetrics);
  }
}

/** Measures all rows, with intervals, and separately those that were seen and the others. */
function measure<Row extends { text: string }, Name extends Metric>(
  rows: readonly Row[],
  metrics: (rows: readonly Row[]) => Record<Name, number>,
  seenTexts: SeenTexts | undefined,
): Figures<Name> & Breakdown<Name> {
  const part = (rows: readonly Row[]) => ({ n: rows.length, ...metrics(rows) });
  const [seen, unseen] = seenTexts === undefined ? [null, null] : [
    part(rows.filter(({ text }) => seenTexts.has(text))),
    part(rows.filter(({ text }) => !seenTexts.has(text))),
  ];
  return { ...part(rows), seen, unseen, interval: bootstrapIntervals(rows, metrics) };
}

/**
 * Percentile intervals (Efron, 1979). Rows of one text are drawn together: they are not independent.
 */
function bootstrapIntervals<Row extends { text: string }, Name extends Metric>(
  rows: readonly Row[],
  metrics: (rows: readonly Row[]) => Record<Name, number>,
): Record<Name, [number, number]> {
  const byText = [...Map.groupBy(rows, ({ text }) => text).values()];
  const random = new Random(RESAMPLING_SEED);
  const samples = Array.from({ length: RESAMPLES }, () => {
    const draws: Row[] = [];
    for (let draw = 0; draw < byText.length; draw++) {
      for (const row of byText[random.integer(byText.length)]!) draws.push(row);
    }
    return metrics(draws);
  });
  const names = Object.keys(samples[0]!) as Name[];
  return Object.fromEntries(
    names.map((name) => [name, middle95(samples.map((sample) => sample[name]))]),
  ) as Record<Name, [number, number]>;
}

function middle95(values: number[]): [number, number] {
  values.sort((a, b) => a - b);
  const at = (share: number) => values[Math.round(share * (values.length - 1))]!;
  return [at(0.025), at(0.975)];
}

/** The classes of a text by their indices, in ascending order. */
interface Classified {
  text: string;
  classes: readonly number[];
  predicted: readonly number[];
}

/** The true labels of a text, `[labels]`, and scores for them. */
type Scored = [labels: readonly number[], scores: readonly number[]];

/** The class with the highest score for each text. */
function topPredictions(rows: readonly Scored[]): ScoredPrediction[] {
  return rows.map(([labels, scores]) => {
    const top = argMax(scores);
    return { score: scores[top]!, isRight: labels[top] === 1 };
  });
}

/** Every class of every text. */
function allPredictions(rows: readonly Scored[]): ScoredPrediction[] {
  return rows.flatMap(([labels, scores]) =>
    scores.map((score, label) => ({ score, isRight: labels[label] === 1 }))
  );
}

function believable(
  predictions: readonly Prediction[],
  scoredOf: (rows: readonly Scored[]) => ScoredPrediction[],
): CalibrationErrors {
  const error = (rows: readonly Scored[]) =>
    calibrationOf(scoredOf(rows)).expected_calibration_error;
  const before = predictions.flatMap(({ labels, uncalibrated }): Scored[] =>
    uncalibrated === undefined ? [] : [[labels, uncalibrated]]
  );
  return {
    expected_calibration_error: error(predictions.map(({ labels, scores }) => [labels, scores])),
    uncalibrated_error: before.length < predictions.length ? null : error(before),
  };
}

function classified(predictions: readonly Prediction[], problem: Problem): Classified[] {
  return predictions.map(({ text, labels, scores }) => ({
    text,
    classes: labels.flatMap((label, index) => label === 1 ? index : []),
    predicted: predictedClasses(scores, problem),
  }));
}

function singleLabelMetrics(
  rows: readonly Classified[],
  classCount: number,
): Record<MetricOf<"single_label_classification">, number> {
  const tally = Tally.of(rows, classCount);
  return { accuracy: tally.accuracy(), f1_macro: tally.macroF1OfUsed() };
}

function multiLabelMetrics(
  rows: readonly Classified[],
  classCount: number,
): Record<MetricOf<"multi_label_classification">, number> {
  const tally = Tally.of(rows, classCount);
  return { accuracy: tally.accuracy(), f1_macro: tally.macroF1(), f1_micro: tally.microF1() };
}

/** Counts the predictions that are right, in all and by class. */
class Tally {
  readonly #correct: Uint32Array;
  readonly #support: Uint32Array;
  readonly #predicted: Uint32Array;
  #exact = 0;
  #total = 0;

  private constructor(classCount: number) {
    this.#correct = new Uint32Array(classCount);
    this.#support = new Uint32Array(classCount);
    this.#predicted = new Uint32Array(classCount);
  }

  static of(rows: readonly Classified[], classCount: number): Tally {
    const tally = new Tally(classCount);
    for (const row of rows) tally.#add(row);
    return tally;
  }

  #add({ classes, predicted }: Classified): void {
    let correct = 0;
    for (const index of classes) this.#support[index]!++;
    for (const index of predicted) {
      this.#predicted[index]!++;
      if (!classes.includes(index)) continue;
      this.#correct[index]!++;
      correct++;
    }
    if (correct === classes.length && correct === predicted.length) this.#exact++;
    this.#total++;
  }

  /** The share of the texts whose classes are all found, and no others. */
  accuracy(): number {
    return ratio(this.#exact, this.#total);
  }

  majority(): number {
    return ratio(Math.max(...this.#support), this.#total);
  }

  /** The macro-F1 over all classes. */
  macroF1(): number {
    return ratio(sum(this.#f1s()), this.#support.length);
  }

  /** The macro-F1 over the classes that are predicted or true at least once. */
  macroF1OfUsed(): number {
    let used = 0;
    for (let index = 0; index < this.#support.length; index++) {
      if (this.#support[index]! + this.#predicted[index]! > 0) used++;
    }
    return ratio(sum(this.#f1s()), used);
  }

  microF1(): number {
    return ratio(2 * sum(this.#correct), sum(this.#support) + sum(this.#predicted));
  }

  classReports(labels: readonly string[]): ClassReport[] {
    const f1s = this.#f1s();
    return labels.map((label, index) => {
      const [correct, support] = [this.#correct[index]!, this.#support[index]!];
      return {
        label,
        precision: ratio(correct, this.#predicted[index]!),
        recall: ratio(correct, support),
        f1: f1s[index]!,
        support,
      };
    });
  }

  #f1s(): Float64Array {
    // A plain loop, as it runs for each resample of an interval.
    const f1s = new Float64Array(this.#correct.length);
    for (let index = 0; index < f1s.length; index++) {
      f1s[index] = ratio(
        2 * this.#correct[index]!,
        this.#support[index]! + this.#predicted[index]!,
      );
    }
    return f1s;
  }
}

function confusionMatrix(rows: readonly Classified[], classCount: number): number[][] {
  const matrix = Array.from({ length: classCount }, () => new Array<number>(classCount).fill(0));
  for (const { classes: [label], predicted: [predicted] } of rows) matrix[label!]![predicted!]!++;
  return matrix;
}

function regressionMetrics(
  rows: readonly Prediction[],
): Record<MetricOf<"regression">, number> {
  const labels = rows.map(({ labels }) => labels[0]!);
  const predicted = rows.map(({ scores }) => scores[0]!);
  const errors = labels.map((label, i) => predicted[i]! - label);
  const squaredError = dot(errors, errors);
  const mse = ratio(squaredError, rows.length);
  const [x, y] = [centred(labels), centred(predicted)];
  const variation = dot(x, x);
  return {
    mse,
    rmse: Math.sqrt(mse),
    mae: ratio(sum(errors.map(Math.abs)), rows.length),
    pearson: ratio(dot(x, y), Math.sqrt(variation) * Math.sqrt(dot(y, y))),
    r2: variation === 0 ? 0 : 1 - squaredError / variation,
  };
}

/** The values less their mean; exact zeros where all are equal. */
function centred(values: readonly number[]): number[] {
  const shifted = values.map((value) => value - values[0]!);
  const mean = ratio(sum(shifted), shifted.length);
  return shifted.map((value) => value - mean);
}

function dot(a: readonly number[], b: readonly number[]): number {
  return sum(a.map((value, i) => value * b[i]!));
}

function sum(values: readonly number[] | Uint32Array | Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
