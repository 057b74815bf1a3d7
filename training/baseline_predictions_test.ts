import { deepStrictEqual } from "node:assert";
import { linearBaseline } from "./baseline_predictions.ts";

const ROWS = Array.from({ length: 20 }, (_, i) => ({
  text: i % 2 === 0 ? `a song ${i}` : `a recipe ${i}`,
  label: i % 2 === 0 ? "music" : "food",
}));
const LABELS = ["food", "music"];

Deno.test("linearBaseline() measures a linear model on the texts that it is given", () => {
  const problem = { problemType: "single_label_classification" as const, labels: LABELS };
  const wrong = { text: "another song", label: "food" };
  const predictions = linearBaseline(ROWS, [...ROWS.slice(0, 3), wrong], problem)!;
  const right = predictions.map(({ labels, scores }) => labels.join() === scores.join());
  deepStrictEqual(right, [true, true, true, false]);
});

Deno.test("linearBaseline() is none of several labels, numbers, and very many classes", () => {
  for (const problemType of ["multi_label_classification", "regression"] as const) {
    deepStrictEqual(linearBaseline(ROWS, ROWS, { problemType, labels: LABELS }), undefined);
  }
  const labels = Array.from({ length: 100_000 }, (_, i) => `${i}`);
  const problem = { problemType: "single_label_classification" as const, labels };
  deepStrictEqual(linearBaseline(ROWS, ROWS, problem), undefined);
});
