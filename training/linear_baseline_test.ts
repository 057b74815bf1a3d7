import { deepStrictEqual } from "node:assert";
import { linearBaseline } from "./linear_baseline.ts";

const ROWS = Array.from({ length: 20 }, (_, i) => ({
  text: i % 2 === 0 ? `a song ${i}` : `a recipe ${i}`,
  label: i % 2 === 0 ? "music" : "food",
}));
const LABELS = ["food", "music"];

Deno.test("linearBaseline() measures a linear model on the texts that it is given", () => {
  const problem = { problemType: "single_label_classification" as const, labels: LABELS };
  const wrong = { text: "another song", label: "food" };
  deepStrictEqual(linearBaseline(ROWS, [...ROWS.slice(0, 3), wrong], problem)?.accuracy, 0.75);
});

Deno.test("linearBaseline() is none of several labels, numbers, and very many classes", () => {
  for (const problemType of ["multi_label_classification", "regression"] as const) {
    deepStrictEqual(linearBaseline(ROWS, ROWS, { problemType, labels: LABELS }), null);
  }
  const labels = Array.from({ length: 10_000 }, (_, i) => `${i}`);
  const problem = { problemType: "single_label_classification" as const, labels };
  deepStrictEqual(linearBaseline(ROWS, ROWS, problem), null);
});
