import { deepStrictEqual, ok } from "node:assert";
import fc from "fast-check";
import { evaluate, type Prediction } from "./evaluation.ts";

const LABELS = ["a", "b", "c"];

/** Predictions with distinct texts from pairs of true and predicted class. */
function predictions(pairs: [number, number][]): Prediction[] {
  return pairs.map(([label, predicted], i) => ({ text: `text ${i}`, label, predicted }));
}

Deno.test("evaluate() reports what scikit-learn does", () => {
  // sklearn.metrics on gold [0,0,0,1,1,2,2,2], predicted [0,0,1,1,1,2,0,2]
  const report = evaluate(
    predictions([[0, 0], [0, 0], [0, 1], [1, 1], [1, 1], [2, 2], [2, 0], [2, 2]]),
    LABELS,
    new Set(["text 0", "text 6"]),
  );
  deepStrictEqual(report.n, 8);
  deepStrictEqual(report.accuracy, 0.75);
  deepStrictEqual(report.f1_micro, 0.75);
  ok(Math.abs(report.f1_macro - (2 / 3 + 0.8 + 0.8) / 3) < 1e-12);
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
  const { seen, unseen } = evaluate(predictions([[0, 1]]), LABELS, undefined);
  deepStrictEqual([seen, unseen], [null, null]);
});

Deno.test("evaluate() averages over the classes that occur", () => {
  deepStrictEqual(evaluate(predictions([[0, 0], [0, 0]]), LABELS, new Set()).f1_macro, 1);
});

Deno.test("evaluate() gives zeros where there is nothing to divide by", () => {
  const { seen } = evaluate(predictions([[0, 1]]), LABELS, new Set());
  deepStrictEqual(seen, { n: 0, accuracy: 0, f1_macro: 0 });
});

Deno.test("evaluate() gives intervals that hold the accuracy, and the same ones each time", () => {
  const pairs = fc.array(fc.tuple(fc.nat(2), fc.nat(2)), { minLength: 20, maxLength: 60 });
  fc.assert(
    fc.property(pairs, (pairs) => {
      const report = evaluate(predictions(pairs), LABELS, new Set());
      const [low, high] = report.interval.accuracy;
      ok(low <= report.accuracy && report.accuracy <= high);
      deepStrictEqual(evaluate(predictions(pairs), LABELS, new Set()), report);
    }),
    { numRuns: 20 },
  );
});

Deno.test("evaluate() draws all rows of a text together", () => {
  const repeated = Array.from({ length: 50 }, () => ({ text: "same", label: 0, predicted: 0 }));
  const { interval } = evaluate(
    [...repeated, { text: "other", label: 1, predicted: 0 }],
    LABELS,
    new Set(),
  );
  // Two texts: a quarter of the resamples holds only the wrong one.
  deepStrictEqual(interval.accuracy[0], 0);
});
