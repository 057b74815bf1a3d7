import { deepStrictEqual, ok } from "node:assert";
import fc from "fast-check";
import { PROBLEM_TYPES } from "../data/labels.ts";
import {
  evaluate,
  headline,
  type MultiLabelReport,
  type Prediction,
  type RegressionReport,
  type SingleLabelReport,
} from "./evaluation.ts";

const LABELS = ["a", "b", "c"];

/** Predictions with distinct texts from pairs of true and predicted rows. */
function rows(pairs: [number[], number[]][]): Prediction[] {
  return pairs.map(([labels, scores], i) => ({ text: `text ${i}`, labels, scores }));
}

/** Predictions with distinct texts from pairs of true and predicted class. */
function predictions(pairs: [number, number][]): Prediction[] {
  const oneHot = (index: number) => LABELS.map((_, i) => Number(i === index));
  return rows(pairs.map(([label, predicted]) => [oneHot(label), oneHot(predicted)]));
}

function evaluateSingle(rows: Prediction[], seenTexts?: Set<string>): SingleLabelReport {
  const problem = { problemType: "single_label_classification" as const, labels: LABELS };
  return evaluate(rows, problem, seenTexts) as SingleLabelReport;
}

function evaluateMulti(
  rows: Prediction[],
  labels: string[] = LABELS,
  seenTexts?: Set<string>,
): MultiLabelReport {
  const problem = { problemType: "multi_label_classification" as const, labels };
  return evaluate(rows, problem, seenTexts) as MultiLabelReport;
}

function evaluateRegression(pairs: [number, number][], seenTexts?: Set<string>): RegressionReport {
  const problem = { problemType: "regression" as const, labels: ["LABEL_0"] };
  const numbers = rows(pairs.map(([label, predicted]) => [[label], [predicted]]));
  return evaluate(numbers, problem, seenTexts) as RegressionReport;
}

function close(actual: number, expected: number): void {
  ok(Math.abs(actual - expected) < 1e-12, `${actual}, not ${expected}`);
}

Deno.test("evaluate() reports what scikit-learn does", () => {
  // sklearn.metrics on gold [0,0,0,1,1,2,2,2], predicted [0,0,1,1,1,2,0,2]
  const report = evaluateSingle(
    predictions([[0, 0], [0, 0], [0, 1], [1, 1], [1, 1], [2, 2], [2, 0], [2, 2]]),
    new Set(["text 0", "text 6"]),
  );
  deepStrictEqual(report.n, 8);
  deepStrictEqual(report.accuracy, 0.75);
  deepStrictEqual(report.f1_micro, 0.75);
  close(report.f1_macro, (2 / 3 + 0.8 + 0.8) / 3);
  deepStrictEqual(report.confusion_matrix, [[2, 1, 0], [0, 2, 0], [1, 0, 2]]);
  deepStrictEqual(report.per_class[1], {
    label: "b",
    precision: 2 / 3,
    recall: 1,
    f1: 0.8,
    support: 2,
  });
  deepStrictEqual(report.majority, 0.375);
  deepStrictEqual(report.seen?.n, 2);
  deepStrictEqual(report.seen?.accuracy, 0.5);
  deepStrictEqual(report.unseen?.n, 6);
  deepStrictEqual(report.unseen?.majority, 2 / 6);
});

Deno.test("evaluate() tells nothing of seen texts where they are not known", () => {
  const { seen, unseen } = evaluateSingle(predictions([[0, 1]]));
  deepStrictEqual([seen, unseen], [null, null]);
});

Deno.test("evaluate() averages over the classes that occur", () => {
  deepStrictEqual(evaluateSingle(predictions([[0, 0], [0, 0]])).f1_macro, 1);
});

Deno.test("evaluate() gives zeros where there is nothing to divide by", () => {
  const { seen } = evaluateSingle(predictions([[0, 1]]), new Set());
  deepStrictEqual(seen, { n: 0, accuracy: 0, f1_macro: 0 });
});

Deno.test("evaluate() gives intervals that hold the accuracy, and the same ones each time", () => {
  const pairs = fc.array(fc.tuple(fc.nat(2), fc.nat(2)), { minLength: 20, maxLength: 60 });
  fc.assert(
    fc.property(pairs, (pairs) => {
      const report = evaluateSingle(predictions(pairs));
      const [low, high] = report.interval.accuracy;
      ok(low <= report.accuracy && report.accuracy <= high);
      deepStrictEqual(evaluateSingle(predictions(pairs)), report);
    }),
    { numRuns: 20 },
  );
});

Deno.test("evaluate() draws all rows of a text together", () => {
  const [right, wrong] = predictions([[0, 0], [1, 0]]) as [Prediction, Prediction];
  const { interval } = evaluateSingle([...Array.from({ length: 50 }, () => right), wrong]);
  // Two texts: a quarter of the resamples holds only the wrong one.
  deepStrictEqual(interval.accuracy[0], 0);
});

Deno.test("evaluate() reports on several labels as scikit-learn does", () => {
  // sklearn.metrics on the indicator matrices; no text has, and none is given, the class d.
  const report = evaluateMulti(
    rows([
      [[1, 0, 1, 0], [0.9, 0.1, 0.4, 0.1]],
      [[0, 0, 0, 0], [0.1, 0.2, 0.3, 0.4]],
      [[1, 1, 0, 0], [0.5, 0.6, 0.2, 0.3]],
      [[0, 1, 0, 0], [0.7, 0.4, 0.1, 0.2]],
      [[0, 0, 1, 0], [0.2, 0.3, 0.8, 0.1]],
    ]),
    ["a", "b", "c", "d"],
    new Set(["text 1", "text 3"]),
  );
  deepStrictEqual([report.n, report.accuracy, report.threshold], [5, 0.6, 0.5]);
  close(report.f1_macro, 0.5333333333333333);
  close(report.f1_micro, 0.7272727272727273);
  deepStrictEqual(report.per_class, [
    { label: "a", precision: 2 / 3, recall: 1, f1: 0.8, support: 2 },
    { label: "b", precision: 1, recall: 0.5, f1: 2 / 3, support: 2 },
    { label: "c", precision: 1, recall: 0.5, f1: 2 / 3, support: 2 },
    { label: "d", precision: 0, recall: 0, f1: 0, support: 0 },
  ]);
  deepStrictEqual(report.seen, { n: 2, accuracy: 0.5, f1_macro: 0, f1_micro: 0 });
  deepStrictEqual([report.unseen?.n, report.unseen?.accuracy], [3, 2 / 3]);
  deepStrictEqual(Object.keys(report.interval), ["accuracy", "f1_macro", "f1_micro"]);
});

Deno.test("evaluate() reports on numbers as scikit-learn and SciPy do", () => {
  const report = evaluateRegression(
    [[1, 1.5], [-2, -1], [3.5, 3], [0.25, 0], [7, 4]],
    new Set(["text 0"]),
  );
  deepStrictEqual(report.n, 5);
  close(report.mse, 2.1125);
  close(report.rmse, 1.4534441853748632);
  close(report.mae, 1.05);
  close(report.pearson, 0.965381777392951);
  close(report.r2, 0.7766913319238901);
  deepStrictEqual(report.seen, { n: 1, mse: 0.25, rmse: 0.5, mae: 0.5, pearson: 0, r2: 0 });
  deepStrictEqual(report.unseen?.n, 4);
});

Deno.test("evaluate() gives numbers that do not vary no correlation", () => {
  const { pearson, r2 } = evaluateRegression([[0.1, 1], [0.1, 2], [0.1, 4]]);
  deepStrictEqual([pearson, r2], [0, 0]);
  deepStrictEqual(evaluateRegression([[1, 0.1], [2, 0.1], [4, 0.1]]).pearson, 0);
});

Deno.test("evaluate() finds a line however far from zero", () => {
  const pairs = Array.from({ length: 20 }, (_, i): [number, number] => [1e6 + i, 3e6 + 2 * i]);
  close(evaluateRegression(pairs).pearson, 1);
});

Deno.test("headline() gives the metrics of the report, of every kind", () => {
  const value = fc.double({ min: 0, max: 1, noNaN: true });
  const bit = fc.constantFrom(0, 1);
  const pair = fc.tuple(fc.tuple(bit, bit, bit), fc.tuple(value, value, value));
  fc.assert(
    fc.property(fc.array(pair, { minLength: 1, maxLength: 20 }), (pairs) => {
      for (const problemType of PROBLEM_TYPES) {
        const problem = { problemType, labels: problemType === "regression" ? ["x"] : LABELS };
        // For one class the row's first 1 is the class.
        const labels = (row: number[]) =>
          problemType === "single_label_classification"
            ? row.map((_, i) => Number(i === Math.max(0, row.indexOf(1))))
            : row;
        const predictions = rows(pairs.map(([row, scores]) => [labels(row), scores]));
        const report: Record<string, unknown> = { ...evaluate(predictions, problem, undefined) };
        for (const [name, value] of Object.entries(headline(predictions, problem))) {
          deepStrictEqual(report[name], value, name);
        }
      }
    }),
    { numRuns: 10 },
  );
});
