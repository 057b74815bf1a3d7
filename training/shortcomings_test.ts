import { deepStrictEqual, match } from "node:assert";
import type { ProblemType } from "../data/labels.ts";
import { evaluate } from "./evaluation.ts";
import { shortcomings } from "./shortcomings.ts";

/** A report on pairs of true and predicted rows. */
function reportOf(pairs: [number[], number[]][], problemType: ProblemType) {
  const labels = pairs[0]![0].map((_, index) => `class ${index}`);
  const predictions = pairs.map(([row, scores], i) => ({ text: `${i}`, labels: row, scores }));
  return evaluate(predictions, { problemType, labels }, undefined);
}

const [A, B] = [[1, 0], [0, 1]];

Deno.test("shortcomings() names the one class that a model gives to everything", () => {
  const pairs: [number[], number[]][] = [[A, A], [A, A], [B, A]];
  deepStrictEqual(shortcomings(reportOf(pairs, "single_label_classification")), [
    "It gives every text the class 'class 0', whatever the text says.",
  ]);
  const right: [number[], number[]][] = [[A, A], [A, A]];
  deepStrictEqual(shortcomings(reportOf(right, "single_label_classification")), []);
});

Deno.test("shortcomings() tells what is no better than the commonest class or a linear model", () => {
  const swapped = reportOf([[A, B], [A, A], [B, A]], "single_label_classification");
  match(shortcomings(swapped)[0]!, /^It is no better than giving every text the commonest class/);
  const good = reportOf([[A, A], [A, A], [B, B], [B, A]], "single_label_classification");
  deepStrictEqual(shortcomings(good, { accuracy: 0.75, p_value: 1 }), []);
  const below = shortcomings(good, { accuracy: 0.8, p_value: 0.01 });
  match(below[0]!, /^It stays below a linear model .* in seconds\.$/);
  const alike = shortcomings(good, { accuracy: 0.8, p_value: 0.5 });
  match(alike[0]!, /^It stays below a linear model .* by no more than chance may \(p 0\.500\)\.$/);
});

Deno.test("shortcomings() sees where several labels do not depend on the text", () => {
  const type = "multi_label_classification";
  match(shortcomings(reportOf([[A, [0, 0]], [B, [0, 0]]], type))[0]!, /^It finds no class in any/);
  match(
    shortcomings(reportOf([[A, [1, 0]], [B, [1, 0]]], type))[0]!,
    /^It gives every text the same classes, whatever the text says: 'class 0'\.$/,
  );
  deepStrictEqual(shortcomings(reportOf([[A, A], [B, A]], type)).length, 1);
  deepStrictEqual(shortcomings(reportOf([[A, A], [B, B]], type)), []);
  deepStrictEqual(shortcomings(reportOf([[A, A], [A, A]], type)), []);
});

Deno.test("shortcomings() sees numbers that are no better than their mean", () => {
  const numbers = (pairs: [number, number][]) =>
    reportOf(pairs.map(([label, score]) => [[label], [score]]), "regression");
  match(shortcomings(numbers([[1, 5], [2, 5], [3, 5]]))[0]!, /the mean of the numbers/);
  deepStrictEqual(shortcomings(numbers([[1, 1.1], [2, 2], [3, 3]])), []);
  deepStrictEqual(shortcomings(numbers([[2, 2.5], [2, 2.5]])), []);
});
