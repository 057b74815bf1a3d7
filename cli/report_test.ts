import { deepStrictEqual, match, ok } from "node:assert";
import { evaluate, type SingleLabelReport } from "../training/evaluation.ts";
import { confusions, formatMetric, formatReport, unknownLine } from "./report.ts";

/** The width on a terminal: wide characters of East Asia take two columns. */
function stringWidth(line: string): number {
  return Array.from(line, (character) => /[\u3000-\u9fff]/.test(character) ? 2 : 1)
    .reduce((sum, width) => sum + width, 0);
}

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
  match(lines[5]!, /^ {2}unseen: 3 texts, accuracy 66\.7 %, /);
  deepStrictEqual(lines[6], "  unseen, always the commonest class: 66.7 %");
  ok(lines.some((line) => /│ 2 b .* 2 │$/.test(line)));
  ok(lines.some((line) => /│ 2 b +│ +1 │ +1 │$/.test(line)));
});

Deno.test("formatReport() says no figures of unseen texts where there are none", () => {
  const predictions = TEXTS.map((text) => ({ text, labels: [1, 0], scores: [1, 0] }));
  const problem = { problemType: "single_label_classification" as const, labels: ["a", "b"] };
  const report = formatReport(evaluate(predictions, problem, new Set(TEXTS)), "Test");
  match(report, /^ {2}seen in training: 4 texts, .*\n {2}unseen: no text\n {2}expected/m);
});

/** Texts of `count` classes; those of even classes are mistaken for the next class. */
function manyClasses(count: number, name = (index: number) => `class ${index}`) {
  const oneHot = (index: number) => Array.from({ length: count }, (_, i) => Number(i === index));
  const labels = Array.from({ length: count }, (_, index) => name(index));
  const predictions = labels.map((_, index) => ({
    text: `text ${index}`,
    labels: oneHot(index),
    scores: oneHot(index % 2 === 0 ? (index + 1) % count : index),
  }));
  const problem = { problemType: "single_label_classification" as const, labels };
  return evaluate(predictions, problem, undefined) as SingleLabelReport;
}

Deno.test("formatReport() shows the worst of many classes, and the commonest confusions", () => {
  const report = formatReport(manyClasses(200), "Test");
  match(report, /^The 20 worst of 200 classes, by F1:$/m);
  match(report, /^│ 1 class 0 +│ +0\.000 │/m);
  match(report, /^Never found: 100 of the 200 classes that have texts\.$/m);
  match(report, /^│ +1 │ class 0 +│ class 1 +│$/m);
  ok(report.split("\n").length < 60);
});

Deno.test("formatReport() has tables of 80 columns at most, whatever the classes are called", () => {
  const names = [
    (index: number) => `${index}`,
    (index: number) => `${"a long name ".repeat(20)}${index}`,
    (index: number) => `日本語のとても長いラベルの名前日本語のとても長いラベルの名前${index}`,
    (index: number) => `two\nlines\tand \u001b[31mcolour ${index}`,
  ];
  for (const count of [2, 6, 10, 20, 21, 200]) {
    for (const name of names) {
      const lines = formatReport(manyClasses(count, name), "Test").split("\n");
      // A terminal wraps sentences, but breaks tables.
      for (const line of lines.filter((line) => /^[┌│├└]/.test(line))) {
        ok(stringWidth(line) <= 80, `${count} classes: ${line}`);
      }
    }
  }
});

Deno.test("formatReport() tells classes apart whose names differ only at the end", () => {
  const report = formatReport(manyClasses(30, (i) => `${"a long name ".repeat(9)}${i}`), "Test");
  match(report, /^│ 1 a long name .*….*a long name 0 │/m);
  match(report, /^│ +1 │ a long .*… ?.*name 0 │ a long .*….*name 1 +│$/m);
});

Deno.test("formatReport() ends with what is wrong, and gives the linear model's figure", () => {
  const report = formatReport(manyClasses(3), "Test", {
    linear_baseline: {
      problem_type: "single_label_classification",
      accuracy: 0.5,
      f1_macro: 0.4,
      interval: { accuracy: [0.45, 0.55], f1_macro: [0.35, 0.45] },
      p_value: 0.0312,
    },
  });
  match(report, /│ linear model on TF-IDF │ +50\.0 % │ 45\.0 % to 55\.0 % │ +0\.400 │ 0\.031 │/);
  match(report, /│ this model /);
  match(report, /\nIt is no better than .*\nIt stays below a linear model .*\.$/);
});

Deno.test("formatMetric() gives shares of any size the same width", () => {
  deepStrictEqual([1, 0.5, 4.9e-7].map((value) => formatMetric(value, "f1_macro")), [
    "1.000",
    "0.500",
    "0.000",
  ]);
  deepStrictEqual(formatMetric(4.9e-7, "mse"), "4.900e-7");
});

Deno.test("unknownLine() names what a vocabulary lacks, and what to do where it is much", () => {
  deepStrictEqual(unknownLine(0), undefined);
  deepStrictEqual(unknownLine(0.012), "1.2 % of the word pieces are unknown to the model");
  match(unknownLine(0.98)!, /^98\.0 % of the word pieces .* --model names a base for/);
});

Deno.test("confusions() lists all that occur, the commonest first", () => {
  const per_class = manyClasses(3).per_class;
  const confusion_matrix = [[5, 1, 0], [0, 2, 7], [0, 0, 1]];
  deepStrictEqual(confusions({ per_class, confusion_matrix }), [
    { label: "class 1", predicted: "class 2", texts: 7 },
    { label: "class 0", predicted: "class 1", texts: 1 },
  ]);
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
