import { deepStrictEqual } from "node:assert";
import type { ProblemType } from "../data/labels.ts";
import { type Compared, comparisonOf, decimals, describeMetrics, isBetter } from "./metrics.ts";

Deno.test("isBetter() prefers more of what is right and less error, and no equal one", () => {
  const chosen = (problemType: ProblemType, metric?: Compared) => {
    const comparison = comparisonOf({ problemType, metric });
    return [comparison.metric, ...[0.8, 0.7, 0.6].map((value) => isBetter(value, 0.7, comparison))];
  };
  deepStrictEqual(chosen("single_label_classification"), ["f1_macro", true, false, false]);
  deepStrictEqual(chosen("single_label_classification", "f1_macro"), [
    "f1_macro",
    true,
    false,
    false,
  ]);
  deepStrictEqual(chosen("single_label_classification", "loss"), ["loss", false, false, true]);
  deepStrictEqual(chosen("multi_label_classification"), ["f1_micro", true, false, false]);
  deepStrictEqual(chosen("regression"), ["mse", false, false, true]);
  deepStrictEqual(chosen("regression", "pearson"), ["pearson", true, false, false]);
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
