/**
 * Evaluations as text.
 *
 * @module
 */
import Table from "cli-table3";
import type { EvaluationReport } from "../training/evaluation.ts";

/** A report as people read it: the headline, then a table of the classes and their confusion. */
export function formatReport(report: EvaluationReport, title: string): string {
  const { interval, seen, unseen } = report;
  const range = ([low, high]: [number, number], format: (value: number) => string) =>
    `95 % interval ${format(low)} to ${format(high)}`;
  const lines = [
    `${title}: ${report.n.toLocaleString("en")} texts`,
    `  accuracy  ${percent(report.accuracy)}   ${range(interval.accuracy, percent)}`,
    `  macro-F1  ${decimals(report.f1_macro)}    ${range(interval.f1_macro, decimals)}`,
    `  always the commonest class: ${percent(report.majority)}`,
  ];
  if (seen !== null && unseen !== null && seen.n > 0) {
    lines.push(
      `  seen in training: ${seen.n.toLocaleString("en")} texts, accuracy ${
        percent(seen.accuracy)
      }`,
      `  unseen: ${unseen.n.toLocaleString("en")} texts, accuracy ${percent(unseen.accuracy)}, ` +
        `macro-F1 ${decimals(unseen.f1_macro)} (always the commonest class: ` +
        `${percent(unseen.majority)})`,
    );
  }
  return [...lines, "", classTable(report)].join("\n");
}

function classTable({ per_class, confusion_matrix }: EvaluationReport): string {
  const table = new Table({
    head: ["class", "precision", "recall", "F1", "texts", ...per_class.map((_, i) => `→ ${i + 1}`)],
    colAligns: ["left", ...Array.from({ length: per_class.length + 4 }, () => "right" as const)],
    style: { head: [], border: [], compact: true },
  });
  for (const [i, { label, precision, recall, f1, support }] of per_class.entries()) {
    table.push([
      `${i + 1} ${label}`,
      decimals(precision),
      decimals(recall),
      decimals(f1),
      support,
      ...confusion_matrix[i]!,
    ]);
  }
  return `${table}\nThe last columns count which class (→ number) the texts of a row were given.`;
}

/** `0.9346` -> `93.5 %` */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function decimals(value: number): string {
  return value.toFixed(3);
}
