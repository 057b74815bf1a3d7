import { deepStrictEqual } from "node:assert";
import { decimals, describeMetrics, type Headline, isBetter } from "./metrics.ts";

Deno.test("isBetter() prefers more accuracy, more micro-F1 and less error, and no equal one", () => {
  const single = (accuracy: number): Headline => ({
    problem_type: "single_label_classification",
    accuracy,
    f1_macro: 1 - accuracy,
  });
  const multi = (f1_micro: number): Headline => ({
    problem_type: "multi_label_classification",
    accuracy: 1 - f1_micro,
    f1_macro: 0,
    f1_micro,
  });
  const regression = (mse: number): Headline => ({
    problem_type: "regression",
    mse,
    rmse: Math.sqrt(mse),
    mae: 0,
    pearson: 0,
    r2: 0,
  });
  deepStrictEqual([0.8, 0.7, 0.6].map((value) => isBetter(single(value), single(0.7))), [
    true,
    false,
    false,
  ]);
  deepStrictEqual([0.8, 0.7, 0.6].map((value) => isBetter(multi(value), multi(0.7))), [
    true,
    false,
    false,
  ]);
  deepStrictEqual([0.8, 0.7, 0.6].map((value) => isBetter(regression(value), regression(0.7))), [
    false,
    false,
    true,
  ]);
});

Deno.test("describeMetrics() names the metrics of a problem in their order", () => {
  const values = { f1_micro: 0.75, f1_macro: 0.5, accuracy: 0.25, mse: 9 };
  deepStrictEqual(
    describeMetrics(values, "multi_label_classification", decimals),
    "accuracy 0.250, macro-F1 0.500, micro-F1 0.750",
  );
});

Deno.test("decimals() keeps the digits that tell something", () => {
  deepStrictEqual([0, 0.5, -12.3456, 0.00012345, 2_500_000].map(decimals), [
    "0.000",
    "0.500",
    "-12.346",
    "0.0001234",
    "2.500e+6",
  ]);
});
