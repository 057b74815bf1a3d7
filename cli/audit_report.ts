/**
 * Audits of data sets as text.
 *
 * @module
 */
import Table from "cli-table3";
import type {
  AuditReport,
  BaselineFigures,
  FileAudit,
  Lengths,
} from "../data/preparation/audit.ts";
import { type Side, SIDES } from "../data/preparation/split.ts";
import { count, listOf, percent } from "../lib/format.ts";
import { MUCH_UNKNOWN, unknownLine } from "./report.ts";

/** The most classes in a table. */
const MAX_CLASSES = 30;

/** An audit as text: the leakage, then tables of the files, classes and baselines. */
export function formatAudit(report: AuditReport): string {
  const files = SIDES.flatMap((side) => report.files[side] ?? []);
  const rows = files.reduce((sum, file) => sum + file.rows, 0);
  const { labels_not_in_training: unknown } = report;
  return [
    `${report.dir}: ${count(rows)} rows${classCount(report)}`,
    report.leakage,
    ...report.notes,
    ...unknown.length > 0
      ? [`Labels that the training file lacks: ${listOf(unknown, MAX_CLASSES)}`]
      : [],
    "",
    `${fileTable(report)}`,
    ...unknownNote(report),
    "Seen and near ask whether a row's text, or one almost the same, stands in the file named;",
    `near: ${report.near_duplicates.method} of at least ${report.near_duplicates.threshold}.`,
    ...report.labels.length > 0 ? ["", classTable(report)] : [],
    ...report.baselines.results.length > 0
      ? [
        "",
        `${baselineTable(report)}`,
        "A neural model has to beat these, above all on the unseen rows.",
        ...report.baselines.trained_on < report.files.train!.rows
          ? [`The linear model has learned a sample of ${count(report.baselines.trained_on)} rows.`]
          : [],
      ]
      : [],
    ...report.baselines.left_out,
  ].join("\n");
}

/** Advice if the base knows few of the training texts' words. */
function unknownNote({ files }: AuditReport): string[] {
  const share = files.train?.unknown_share ?? 0;
  return share < MUCH_UNKNOWN ? [] : [unknownLine(share)!];
}

/** ` in 6 classes`, or nothing if labels are numbers. */
export function classCount({ labels }: AuditReport): string {
  return labels.length === 0 ? "" : ` in ${count(labels.length)} classes`;
}

function fileTable(report: AuditReport): Table.Table {
  const present = SIDES.filter((side) => report.files[side] !== undefined);
  const table = tableOf(["", ...present]);
  const add = (name: string, value: (file: FileAudit, side: Side) => string) =>
    table.push([name, ...present.map((side) => value(report.files[side]!, side))]);
  const overlap = (of: Side, within: Side, value: (o: AuditReport["overlaps"][0]) => string) => {
    const found = report.overlaps.find((other) => other.of === of && other.in === within);
    return found === undefined ? "" : value(found);
  };
  add("rows", ({ rows }) => count(rows));
  add("distinct texts", (file) => count(file.distinct_texts));
  add("repeated rows", (file) => count(file.duplicate_rows));
  add("near-duplicate texts", (file) => count(file.near_duplicate_texts));
  add("texts with several labels", (file) => count(file.conflicting_texts));
  add("rows without a letter", (file) => count(file.non_text_rows));
  const lengths = ({ p50, p95, p99, max }: Lengths) => `${p50}/${p95}/${p99}/${max}`;
  add("words, 50/95/99/100 %", ({ words }) => lengths(words));
  add("word pieces, the same", (file) => lengths(file.word_pieces));
  add(`over ${report.max_length} tokens`, (file) => count(file.truncated_rows));
  add(
    "unknown to the base",
    (file) => file.unknown_share === null ? "" : percent(file.unknown_share),
  );
  for (const within of ["train", "validation"] as const) {
    add(
      `seen in ${within}`,
      (_, side) =>
        overlap(side, within, ({ seen, rows }) => `${count(seen)} (${percent(seen / rows)})`),
    );
    add(`near in ${within}`, (_, side) => overlap(side, within, ({ near }) => count(near)));
  }
  return table;
}

function classTable({ labels, label_names, files }: AuditReport): string {
  const present = SIDES.filter((side) => files[side] !== undefined);
  const table = tableOf(["class", ...present.flatMap((side) => [side, "share"])]);
  for (const [i, label] of labels.slice(0, MAX_CLASSES).entries()) {
    const name = label_names[i]!;
    table.push([
      name === label ? label : `${label} ${name}`,
      ...present.flatMap((side) => {
        const { classes, rows } = files[side]!;
        return [count(classes[label]!), percent(classes[label]! / rows)];
      }),
    ]);
  }
  const left = labels.length - MAX_CLASSES;
  return left > 0 ? `${table}\n… and ${count(left)} more classes` : `${table}`;
}

function baselineTable(
  { baselines: { measured_on, results }, files }: AuditReport,
): Table.Table {
  const [first] = results;
  const isSampled = first!.all.n < files[measured_on]!.rows;
  const table = tableOf([
    `on ${isSampled ? "a sample of " : ""}the ${measured_on} file`,
    `all ${count(first!.all.n)}`,
    "macro-F1",
    `unseen ${count(first!.unseen.n)}`,
    "macro-F1",
  ]);
  const figures = ({ accuracy, f1_macro }: BaselineFigures) =>
    accuracy === null || f1_macro === null ? ["", ""] : [percent(accuracy), f1_macro.toFixed(3)];
  for (const { name, all, unseen } of results) {
    table.push([name, ...figures(all), ...figures(unseen)]);
  }
  return table;
}

function tableOf(head: string[]): Table.Table {
  return new Table({
    head,
    colAligns: ["left", ...head.slice(1).map(() => "right" as const)],
    style: { head: [], border: [], compact: true },
  });
}
