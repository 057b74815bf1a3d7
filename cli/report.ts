/**
 * Evaluations as text.
 *
 * @module
 */
import Table from "cli-table3";
import { count, percent } from "../lib/format.ts";
import type { TextLoss } from "../models/text/tokenizer.ts";
import type { FileEvaluation } from "../training/evaluate_file.ts";
import type { ClassReport, EvaluationReport, SingleLabelReport } from "../training/evaluation.ts";
import type { TrainResult } from "../training/events.ts";
import { shortcomings } from "../training/shortcomings.ts";
import {
  decimals,
  describeMetrics,
  type Metric,
  METRIC_NAMES,
  metricEntries,
} from "../training/metrics.ts";

/** The width of tables in columns, as on a usual terminal. */
const WIDTH = 80;
/** The least width that columns of names are cut to. */
const MIN_NAME_WIDTH = 16;
/** The most classes to show; of more, only the worst are shown. */
const MAX_CLASSES = 20;
/** The shares of the surest texts to report. */
const SHOWN_COVERAGE = [0.8, 0.5];
/** The commonest confusions to show if the matrix is too wide. */
const MAX_CONFUSIONS = 10;

/**
 * A report as text: the metrics, then a table of the classes and their confusion. With many classes
 * it shows the worst, and the most frequent confusions. It ends with plain faults.
 *
 * @param others The figures of other models on the same texts, if known.
 */
export function formatReport(
  report: EvaluationReport,
  title: string,
  others: Partial<Pick<TrainResult, "linear_baseline" | "network_alone">> = {},
): string {
  const { linear_baseline: linear = null, network_alone: alone = null } = others;
  const { problem_type, seen, unseen } = report;
  const lines = [`${title}: ${count(report.n)} texts`, ...metricLines(report)];
  if (problem_type === "single_label_classification") {
    lines.push(`  always the commonest class: ${percent(report.majority)}`);
  }
  if (seen !== null && unseen !== null && seen.n > 0) {
    const describe = (part: { n: number } & Partial<Record<Metric, number>>) =>
      part.n === 0
        ? "no text"
        : `${count(part.n)} texts, ${describeMetrics(part, problem_type, formatMetric)}`;
    lines.push(`  seen in training: ${describe(seen)}`, `  unseen: ${describe(unseen)}`);
    if (problem_type === "single_label_classification" && unseen.n > 0) {
      lines.push(`  unseen, always the commonest class: ${percent(report.unseen!.majority)}`);
    }
  }
  lines.push(...calibrationLines(report));
  switch (problem_type) {
    case "single_label_classification":
      lines.push("", ...classLines(report.per_class), "", ...confusionLines(report));
      break;
    case "multi_label_classification":
      lines.push("", ...classLines(report.per_class));
      break;
    case "regression":
  }
  const verdict = verdictLines(report, linear, alone);
  if (verdict.length > 0) lines.push("", ...verdict);
  const faults = shortcomings(report, linear);
  if (faults.length > 0) lines.push("", ...faults);
  return lines.join("\n");
}

/** The metrics and speeds of reports on the same texts, side by side. */
export function formatComparison(
  reports: Readonly<Record<string, FileEvaluation["report"]>>,
): string {
  const entries = Object.entries(reports).map(([name, report]) => {
    const metrics = metricEntries<number>(report, report.problem_type);
    return { name, metrics, textsPerSecond: Math.round(report.samples_per_second) };
  });
  const names = entries[0]!.metrics.map(([metric]) => METRIC_NAMES[metric]);
  const table = tableOf(["weights", ...names, "texts/s"]);
  for (const { name, metrics, textsPerSecond } of entries) {
    const values = metrics.map(([metric, value]) => formatMetric(value, metric));
    table.push([name, ...values, count(textsPerSecond)]);
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

/** The calibration of the scores, and the accuracy of the surest texts. */
function calibrationLines(report: EvaluationReport): string[] {
  if (report.problem_type === "regression") return [];
  const { expected_calibration_error: error, uncalibrated_error: before } = report;
  const lines = [
    `  expected calibration error ${decimals(error)}` +
    (before === null ? "" : `, of the network uncalibrated ${decimals(before)}`),
  ];
  if (report.problem_type === "single_label_classification") {
    const shown = report.coverage.filter(({ coverage }) => SHOWN_COVERAGE.includes(coverage));
    const parts = shown.map(({ coverage, score, accuracy }) =>
      `${percent(accuracy)} of the surest ${Math.round(100 * coverage)} % (scores from ${
        score.toFixed(2)
      })`
    );
    if (parts.length > 0) lines.push(`  right: ${parts.join(", ")}`);
  }
  return lines;
}

/** The linear model, the network alone and both together, on the same texts. */
function verdictLines(
  { problem_type, interval, ...values }: EvaluationReport,
  linear: TrainResult["linear_baseline"],
  alone: TrainResult["network_alone"],
): string[] {
  if (linear === null && alone === null) return [];
  const [metric] = metricEntries(values, problem_type)[0]!;
  const second = problem_type === "single_label_classification" ? ["f1_macro" as const] : [];
  const row = (
    name: string,
    figures: Partial<Record<Metric, number>>,
    [low, high]: [number, number],
    p: string,
  ) => [
    name,
    formatMetric(figures[metric]!, metric),
    `${formatMetric(low, metric)} to ${formatMetric(high, metric)}`,
    ...second.map((metric) => formatMetric(figures[metric]!, metric)),
    p,
  ];
  const names = [metric, ...second].map((metric) => METRIC_NAMES[metric]);
  const table = tableOf(["model", names[0]!, "95 % interval", ...names.slice(1), "p"]);
  const own: Partial<Record<Metric, [number, number]>> = interval;
  const rivals = [
    ...linear === null ? [] : [{ name: "linear model on TF-IDF", ...linear }],
    ...alone === null ? [] : [{ name: "network alone", ...alone }],
  ];
  for (const { name, interval, p_value, ...figures } of rivals) {
    table.push(row(name, figures, interval[metric]!, formatP(p_value)));
  }
  table.push(
    row(alone === null ? "this model" : "both: this model", values, own[metric]!, ""),
  );
  return [
    `${table}`,
    "p: the probability of a difference this large between two equally good models",
  ];
}

/** A probability; a small one is only given as less than a limit. */
function formatP(p: number): string {
  return p < 0.001 ? "< 0.001" : p.toFixed(3);
}

/** All classes in a table, or the worst of many. */
function classLines(classes: readonly ClassReport[]): string[] {
  const rows = classes.map((report, index) => ({ ...report, number: index + 1 }));
  // A class without texts cannot be predicted correctly.
  const [present, absent] = [
    rows.filter(({ support }) => support > 0),
    rows.filter(({ support }) => support === 0),
  ];
  const isLong = rows.length > MAX_CLASSES;
  const shown = isLong ? present.toSorted((a, b) => a.f1 - b.f1).slice(0, MAX_CLASSES) : rows;
  const table = tableOf(["class", "precision", "recall", "F1", "texts"]);
  for (const { number, label, precision, recall, f1, support } of shown) {
    const figures = [precision, recall, f1].map((share) => share.toFixed(3));
    table.push([`${number} ${oneLine(label)}`, ...figures, count(support)]);
  }
  if (!isLong) return [fitted(table)];
  const missed = present.filter(({ recall }) => recall === 0).length;
  return [
    `The ${shown.length} worst of ${count(rows.length)} classes, by F1:`,
    fitted(table),
    `Never found: ${count(missed)} of the ${count(present.length)} classes that have texts` +
    (absent.length > 0 ? `; without a text: ${count(absent.length)}.` : "."),
  ];
}

/** The confusion matrix if a terminal is wide enough for it, else the commonest confusions. */
function confusionLines({ per_class, confusion_matrix }: SingleLabelReport): string[] {
  if (per_class.length <= MAX_CLASSES) {
    const table = tableOf(["class", ...per_class.map((_, index) => `→ ${index + 1}`)]);
    for (const [index, row] of confusion_matrix.entries()) {
      table.push([`${index + 1} ${oneLine(per_class[index]!.label)}`, ...row.map(count)]);
    }
    const text = fitted(table);
    if (table.width <= WIDTH) {
      return [text, "Each column counts the texts that were given the class of its number."];
    }
  }
  const common = confusions({ per_class, confusion_matrix });
  if (common.length === 0) return ["No class was taken for another."];
  const table = tableOf(["texts", "of class", "were given"]);
  for (const { label, predicted, texts } of common.slice(0, MAX_CONFUSIONS)) {
    table.push([count(texts), oneLine(label), oneLine(predicted)]);
  }
  return ["The commonest confusions:", fitted(table, [1, 2])];
}

/** One class taken for another. */
export interface Confusion {
  label: string;
  predicted: string;
  /** The number of texts. */
  texts: number;
}

/** All confusions that occur, the commonest first. */
export function confusions(
  { per_class, confusion_matrix }: Pick<SingleLabelReport, "per_class" | "confusion_matrix">,
): Confusion[] {
  const found: Confusion[] = [];
  for (const [index, row] of confusion_matrix.entries()) {
    // The matrix of 2,000 classes has four million places.
    for (let other = 0; other < row.length; other++) {
      const texts = row[other]!;
      if (texts === 0 || other === index) continue;
      found.push({ label: per_class[index]!.label, predicted: per_class[other]!.label, texts });
    }
  }
  return found.sort((a, b) => b.texts - a.texts);
}

function tableOf(head: string[]): Table.Table {
  return new Table({
    head,
    colAligns: head.map((name) =>
      /^(class|of class|were given|weights|model)$/.test(name) ? "left" : "right"
    ),
    style: { head: [], border: [], compact: true },
  });
}

/**
 * A table cut to the width of a terminal, if its names allow it.
 *
 * @param names The columns of names, which may be cut.
 */
function fitted(table: Table.Table, names: readonly number[] = [0]): string {
  const excess = table.width - WIDTH;
  // The widths are known once the table has been drawn.
  const widths = table.options.colWidths as number[];
  for (let cut = 0; cut < excess; cut++) {
    const widest = names.reduce((a, b) => widths[b]! > widths[a]! ? b : a);
    if (widths[widest]! > MIN_NAME_WIDTH) widths[widest]!--;
  }
  for (const row of excess > 0 ? table as unknown as string[][] : []) {
    // A space stands at either side.
    for (const name of names) row[name] = shortened(row[name]!, widths[name]! - 2);
  }
  return `${table}`;
}

/** A name cut in its middle, as many names differ only at their ends. */
function shortened(name: string, length: number): string {
  const letters = [...name];
  if (letters.length <= length) return name;
  const end = Math.floor((length - 1) / 2);
  return `${letters.slice(0, length - 1 - end).join("")}…${letters.slice(-end).join("")}`;
}

/** A name without line ends and control characters, which would break a table. */
function oneLine(name: string): string {
  return name.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, " ");
}

/** The share of unknown word pieces beyond which too little of a text is left. */
export const MUCH_UNKNOWN = 0.1;

/** The share of some texts that a model cannot read; `undefined` if it is negligible. */
export function unknownLine(share: number): string | undefined {
  if (share < 0.0005) return undefined;
  const told = `${percent(share)} of the word pieces are unknown to the model`;
  return share < MUCH_UNKNOWN
    ? told
    : `${told}: its vocabulary is not made for these texts; --model names a base for their language`;
}

/** The part of long texts that a model does not see; `undefined` if there is none. */
export function lossLine({ texts, long, tokens, lost }: TextLoss): string | undefined {
  if (lost === 0) return undefined;
  return `${count(long)} of ${count(texts)} texts (${percent(long / texts)}) are longer than the ` +
    `model takes and lose a part, ${percent(lost / tokens)} of all tokens`;
}

/** Shares in percent, F1 with three decimals, errors of any size as they are. */
export function formatMetric(value: number, metric: Metric): string {
  if (metric === "accuracy") return percent(value);
  return metric === "f1_macro" || metric === "f1_micro" ? value.toFixed(3) : decimals(value);
}
