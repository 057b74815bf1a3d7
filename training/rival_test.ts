import { deepStrictEqual, ok } from "node:assert";
import type { Problem } from "../data/labels.ts";
import type { Prediction } from "./evaluation.ts";
import { rivalOf } from "./rival.ts";

/** Predictions of two classes, right where a sign is +. */
function predictions(signs: string): Prediction[] {
  return [...signs].map((sign, i) => ({
    text: `text ${i}`,
    labels: [1, 0],
    scores: sign === "+" ? [0.9, 0.1] : [0.2, 0.8],
  }));
}

const TWO: Problem = { problemType: "single_label_classification", labels: ["a", "b"] };

Deno.test("rivalOf() tests on the texts where just one of two models is right", () => {
  const rival = rivalOf(predictions("+++++---"), predictions("++---+--"), TWO);
  ok(rival.problem_type === "single_label_classification");
  deepStrictEqual(rival.accuracy, 5 / 8);
  // 3 against 1 of 4: 2 (1 + 4) / 16.
  ok(Math.abs(rival.p_value - 10 / 16) < 1e-12, `${rival.p_value}`);
  const [low, high] = rival.interval.accuracy!;
  ok(low < rival.accuracy && rival.accuracy < high);
  deepStrictEqual(rivalOf(predictions("+-"), predictions("+-"), TWO).p_value, 1);
});

Deno.test("rivalOf() counts several labels as right where all are, by their own thresholds", () => {
  const several: Problem = { ...TWO, problemType: "multi_label_classification" };
  const rows = predictions("++++");
  const result = predictions("----");
  ok(rivalOf(rows, result, several).p_value === 2 / 16);
  // From 0.1 on the second class counts, too, so that no text is right.
  deepStrictEqual(rivalOf(rows, result, { ...several, thresholds: [0.5, 0.1] }).p_value, 1);
});

Deno.test("rivalOf() tests by whose number is nearer", () => {
  const numbers = (errors: number[]) =>
    errors.map((error, i) => ({ text: `text ${i}`, labels: [i], scores: [i + error] }));
  const problem: Problem = { problemType: "regression", labels: ["LABEL_0"] };
  const rival = rivalOf(numbers([1, 1, -1, 1, 2]), numbers([2, -2, 2, -2, -2]), problem);
  // 4 against 0, and one that is as near: 2 / 16.
  ok(Math.abs(rival.p_value - 2 / 16) < 1e-12, `${rival.p_value}`);
});
