/**
 * Evaluations as text.
 *
 * @module
 */
import Table from "cli-table3";
import type { FileEvaluation } from "../training/evaluate_file.ts";
import type { ClassReport, EvaluationReport } from "../training/evaluation.ts";
import {
  decimals,
  describeMetrics,
  type Metric,
  METRIC_NAMES,
  metricEntries,
} from "../training/metrics.ts";

/** A report as people read it: the metrics, then a table of the classes and their confusion. */
export function formatReport(report: EvaluationReport, title: string): string {
  const { problem_type, seen, unseen } = report;
  const lines = [`${title}: ${report.n.toLocaleString("en")} texts`, ...metricLines(report)];
  if (problem_type === "single_label_classification") {
    lines.push(`  always the commonest class: ${percent(report.majority)}`);
  }
  if (seen !== null && unseen !== null && seen.n > 0) {
    const describe = (part: { n: number } & Partial<Record<Metric, number>>) =>
      `${part.n.toLocaleString("en")} texts, ${describeMetrics(part, problem_type, formatMetric)}`;
    lines.push(
      `  seen in training: ${describe(seen)}`,
      `  unseen: ${describe(unseen)}` +
        ("majority" in unseen ? ` (always the commonest class: ${percent(unseen.majority)})` : ""),
    );
  }
  switch (problem_type) {
    case "single_label_classification":
      lines.push(
        "",
        classTable(report.per_class, report.confusion_matrix),
        "The last columns count which class (→ number) the texts of a row were given.",
      );
      break;
    case "multi_label_classification":
      lines.push("", classTable(report.per_class));
      break;
    case "regression":
  }
  return lines.join("\n");
}

/** The metrics of reports on the same texts side by side, and how fast each was. */
export function formatComparison(
  reports: Readonly<Record<string, FileEvaluation["report"]>>,
): string {
  const entries = Object.entries(reports).map(([name, report]) => {
    const metrics = metricEntries<number>(report, report.problem_type);
    return { name, metrics, textsPerSecond: Math.round(report.samples_per_second) };
  });
  const names = entries[0]!.metrics.map(([metric]) => METRIC_NAMES[metric]);
  const table = new Table({
    head: ["weights", ...names, "texts/s"],
    colAligns: ["left", ...Array.from({ length: names.length + 1 }, () => "right" as const)],
    style: { head: [], border: [], compact: true },
  });
  for (const { name, metrics, textsPerSecond } of entries) {
    const values = metrics.map(([metric, value]) => formatMetric(value, metric));
    table.push([name, ...values, textsPerSecond.toLocaleString("en")]);
  }
  return String(table);
}

/** Each metric with its interval, in columns. */
function metricLines({ problem_type, interval, ...values }: EvaluationReport): string[] {
  const intervals = new Map(metricEntries(interval, problem_type));
  const rows = metricEntries(values, problem_type);
  const width = Math.max(...rows.map(([metric]) => METRIC_NAMES[metric].length));
  return rows.map(([metric, value]) => {
    const [low, high] = intervals.get(metric)!.map((end) => formatMetric(end, metric));
    return `  ${METRIC_NAMES[metric].padEnd(width)}  ${formatMetric(value, metric).padEnd(6)}   ` +
      `95 % interval ${low} to ${high}`;
  });
}

function classTable(classes: readonly ClassReport[], confusionMatrix?: number[][]): string {
  const columns = confusionMatrix === undefined ? [] : classes.map((_, i) => `→ ${i + 1}`);
  const table = new Table({
    head: ["class", "precision", "recall", "F1", "texts", ...columns],
    colAligns: ["left", ...Array.from({ length: columns.length + 4 }, () => "right" as const)],
    style: { head: [], border: [], compact: true },
  });
  for (const [i, { label, precision, recall, f1, support }] of classes.entries()) {
    table.push([
      `${i + 1} ${label}`,
      decimals(precision),
      decimals(recall),
      decimals(f1),
      support,
      ...confusionMatrix?.[i] ?? [],
    ]);
  }
  return String(table);
}

/** Shares in percent, other metrics as they are. */
export function formatMetric(value: number, metric: Metric): string {
  return metric === "accuracy" ? percent(value) : decimals(value);
}

/** `0.9346` -> `93.5 %` */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
