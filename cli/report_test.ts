import { deepStrictEqual, match, ok } from "node:assert";
import { evaluate } from "../training/evaluation.ts";
import { formatReport } from "./report.ts";

const TEXTS = ["one", "two", "three", "four"];

Deno.test("formatReport() prints metrics with intervals, what was seen, and the confusion", () => {
  const rows = [[[1, 0], [1, 0]], [[1, 0], [1, 0]], [[0, 1], [1, 0]], [[0, 1], [0, 1]]];
  const predictions = TEXTS.map((text, i) => ({
    text,
    labels: rows[i]![0]!,
    scores: rows[i]![1]!,
  }));
  const problem = { problemType: "single_label_classification" as const, labels: ["a", "b"] };
  const lines = formatReport(evaluate(predictions, problem, new Set(["one"])), "Test").split("\n");
  deepStrictEqual(lines[0], "Test: 4 texts");
  match(lines[1]!, /^ {2}accuracy {2}75\.0 % {3}95 % interval \d+\.\d % to 100\.0 %$/);
  match(lines[2]!, /^ {2}macro-F1 {2}0\.733 {4}95 % interval \d\.\d{3} to 1\.000$/);
  deepStrictEqual(lines[3], "  always the commonest class: 50.0 %");
  match(lines[4]!, /^ {2}seen in training: 1 texts, accuracy 100\.0 %/);
  match(lines[5]!, /^ {2}unseen: 3 texts, accuracy 66\.7 %, .* commonest class: 66\.7 %\)$/);
  ok(lines.some((line) => /2 b .* 2 │ +1 │ +1 │$/.test(line)));
});

Deno.test("formatReport() prints the classes of several labels without a confusion", () => {
  const predictions = TEXTS.map((text) => ({ text, labels: [1, 0], scores: [0.9, 0.8] }));
  const problem = { problemType: "multi_label_classification" as const, labels: ["a", "b"] };
  const report = formatReport(evaluate(predictions, problem, undefined), "Test");
  match(report, / {2}accuracy {2}0\.0 % .*\n {2}macro-F1 {2}0\.500 .*\n {2}micro-F1 {2}0\.667 /);
  match(report, /1 a .* 4 │\n/);
  ok(!report.includes("→"));
});

Deno.test("formatReport() prints the errors of numbers in columns", () => {
  const predictions = TEXTS.map((text, i) => ({ text, labels: [i], scores: [i + 2] }));
  const problem = { problemType: "regression" as const, labels: ["LABEL_0"] };
  deepStrictEqual(
    formatReport(evaluate(predictions, problem, undefined), "Test").split("\n").slice(0, 4),
    [
      "Test: 4 texts",
      "  MSE          4.000    95 % interval 4.000 to 4.000",
      "  RMSE         2.000    95 % interval 2.000 to 2.000",
      "  MAE          2.000    95 % interval 2.000 to 2.000",
    ],
  );
});
