/**
 * `eval`: measures a trained classifier.
 *
 * @module
 */
import { Command } from "commander";
import { stringify } from "csv-stringify/sync";
import type { ProblemType } from "../data/labels.ts";
import { writeFileAtomically } from "../lib/files.ts";
import { count, percent } from "../lib/format.ts";
import { TextClassifier } from "../models/inference/text_classifier.ts";
import type { Dtype } from "../models/onnx_model.ts";
import type { Device } from "../onnx/runtime/device.ts";
import { Executor } from "../onnx/runtime/executor.ts";
import {
  evaluateFile,
  type FileEvaluation,
  type PredictionRow,
} from "../training/evaluate_file.ts";
import { UserError } from "../lib/user_error.ts";
import { evaluationInput, trainingTextsOf } from "../training/folder/trained_on.ts";
import { lastRun } from "./last_run.ts";
import { printNote } from "./note.ts";
import { confusions, formatComparison, formatReport, lossLine } from "./report.ts";
import { abstainOption, checkAbstain } from "./abstain_option.ts";
import { deviceOption } from "./device_option.ts";
import { dtypeOption } from "./dtype_option.ts";
import { addTableOptions, type ColumnOptions, columnsOf, formatOf } from "./table_options.ts";

interface Options extends ColumnOptions {
  model?: string;
  file?: string;
  predictions?: string;
  perClass?: string;
  confusions?: string;
  device: Device | "auto";
  dtype: Dtype;
  abstain?: number;
  json?: boolean;
}

/** The command and its options. */
export function evalCommand(): Command {
  const command = new Command("eval")
    .description(
      "Measure a trained classifier on labelled texts in CSV, TSV or JSON Lines",
    )
    .option("--model <dir>", "The model's folder; default: the last finished run")
    .option("--file <csv>", "The labelled texts; default: the test file of the training data");
  addTableOptions(command);
  return command
    .option(
      "--predictions <csv>",
      "Write text,label,predicted,score of each text to this file: predicted is written as labels " +
        "are, score is the probability of all that was predicted (empty for a number)",
    )
    .option(
      "--per-class <csv>",
      "Write label,precision,recall,f1,support of each class to this file",
    )
    .option(
      "--confusions <csv>",
      "Write label,predicted,texts to this file: the number of texts of a class that got another",
    )
    .addOption(abstainOption("the report says how many are left, and how many of these are right"))
    .addOption(deviceOption())
    .addOption(dtypeOption("; measured beside float32"))
    .option("--json", "Print the report as JSON on standard output")
    .action(run);
}

async function run(options: Options): Promise<void> {
  const { abstain, dtype } = options;
  const modelDir = options.model ?? await lastRun();
  const namesColumns = (options.text ?? options.label ?? options.columnMapping) !== undefined;
  const { file, columns, options: reading } = await evaluationInput(modelDir, options.file, {
    ...formatOf(options),
    columns: namesColumns ? columnsOf(options) : undefined,
    onNote: printNote,
  });
  await using executor = await Executor.start({ device: options.device });
  const seenTexts = await trainingTextsOf(modelDir);
  const evaluateAs = async (dtype: Dtype) => {
    const classifier = await TextClassifier.load(executor, modelDir, dtype);
    checkFiles(options, classifier.problemType);
    checkAbstain(abstain, modelDir, classifier.problemType);
    const evaluation = await evaluateFile(classifier, file, seenTexts, columns, reading);
    const loss = lossLine(classifier.lossOf(evaluation.rows.map(({ text }) => text)));
    await classifier.release();
    return { ...evaluation, loss };
  };
  const measured = await evaluateAs(dtype);
  if (measured.loss !== undefined) printNote(measured.loss);
  const { report, rows } = abstain === undefined ? measured : withAbstention(measured, abstain);
  const exact = dtype === "fp32" ? undefined : await evaluateAs("fp32");
  await writeFiles(options, report, rows);
  const title = `${modelDir} on ${file}`;
  if (exact === undefined) {
    console.log(options.json ? JSON.stringify(report) : formatWhole(report, title, rows.length));
    return;
  }
  const samePredictions = shareOfSamePredictions(rows, exact.rows);
  console.log(
    options.json
      ? JSON.stringify({ ...report, same_predictions: samePredictions, fp32: exact.report })
      : [
        formatReport(report, `${title}, ${dtype}`),
        "",
        formatComparison({ fp32: exact.report, [dtype]: report }),
        `The same is predicted for ${percent(samePredictions)} of the texts.`,
      ].join("\n"),
  );
}

/** A report, perhaps on a model that abstains. */
type Report = FileEvaluation["report"] & {
  abstained?: {
    /** The score below which no answer is given. */
    below: number;
    answered: number;
    /** The share of the answers that are right. */
    accuracy: number;
  };
};

/** Adds the figures of a model that answers only with a score that is high enough. */
function withAbstention(
  { report, rows }: Pick<FileEvaluation, "report" | "rows">,
  below: number,
): { report: Report; rows: PredictionRow[] } {
  const isAnswered = ({ score = 1 }: PredictionRow) => score >= below;
  const answered = rows.filter(isAnswered);
  const right = answered.filter(({ label, predicted }) => label === predicted).length;
  const accuracy = answered.length === 0 ? 0 : right / answered.length;
  return {
    report: { ...report, abstained: { below, answered: answered.length, accuracy } },
    rows: rows.map((row) => isAnswered(row) ? row : { ...row, predicted: "" }),
  };
}

/** Writes the tables that the options ask for. */
async function writeFiles(
  { predictions, perClass, confusions: confusionsFile }: Options,
  report: Report,
  rows: readonly PredictionRow[],
): Promise<void> {
  if (predictions !== undefined) {
    await writeCsv(predictions, rows, ["text", "label", "predicted", "score"]);
  }
  if (perClass !== undefined && "per_class" in report) {
    await writeCsv(perClass, report.per_class, ["label", "precision", "recall", "f1", "support"]);
  }
  if (confusionsFile !== undefined && "confusion_matrix" in report) {
    await writeCsv(confusionsFile, confusions(report), ["label", "predicted", "texts"]);
  }
}

function formatWhole(report: Report, title: string, texts: number): string {
  const table = formatReport(report, title);
  if (report.abstained === undefined) return table;
  const { below, answered, accuracy } = report.abstained;
  return `${table}\n\nWith --abstain ${below} it answers ${count(answered)} of ` +
    `${count(texts)} texts, ${percent(accuracy)} of them right.`;
}

async function writeCsv(file: string, rows: readonly object[], columns: string[]): Promise<void> {
  await writeFileAtomically(file, stringify([...rows], { header: true, columns }));
}

/** @throws {UserError} If a requested file does not exist for this type of problem. */
function checkFiles({ perClass, confusions }: Options, problemType: ProblemType): void {
  const refuse = (flag: string, rule: string) => {
    throw new UserError(`Cannot use ${flag} with this model: ${rule}`);
  };
  if (perClass !== undefined && problemType === "regression") {
    refuse("--per-class", "it gives numbers, not classes");
  }
  if (confusions !== undefined && problemType !== "single_label_classification") {
    refuse("--confusions", "only a model that gives each text one class confuses classes");
  }
}

function shareOfSamePredictions(rows: readonly PredictionRow[], others: typeof rows): number {
  return rows.filter(({ predicted }, i) => predicted === others[i]!.predicted).length / rows.length;
}
