/**
 * `predict`: classifies texts.
 *
 * @module
 */
import { Command, InvalidArgumentError, Option } from "commander";
import { buffer } from "node:stream/consumers";
import { chunks } from "../data/batches.ts";
import { count, percent } from "../lib/format.ts";
import { UserError } from "../lib/user_error.ts";
import { writeFileAtomically } from "../lib/files.ts";
import { DELIMITER, ENCODING } from "../data/table_settings.ts";
import { MixedClassifier, type MixedText } from "../models/inference/mixed_classifier.ts";
import { type LabelScore, TextClassifier } from "../models/inference/text_classifier.ts";
import { unknownShare } from "../models/text/tokenizer.ts";
import type { Dtype } from "../models/onnx_model.ts";
import type { Device } from "../onnx/runtime/device.ts";
import { Executor } from "../onnx/runtime/executor.ts";
import { decimals } from "../training/metrics.ts";
import { predictTable, type TableProgress } from "../training/predict_table.ts";
import { abstainOption, checkAbstain } from "./abstain_option.ts";
import { deviceOption } from "./device_option.ts";
import { dtypeOption } from "./dtype_option.ts";
import { Interruption } from "./interruption.ts";
import { lastRun } from "./last_run.ts";
import { printNote } from "./note.ts";
import { RowsBar } from "./progress.ts";
import { lossLine, unknownLine } from "./report.ts";

interface Options {
  model: string[];
  mixed?: boolean;
  file?: string;
  text?: string;
  out?: string;
  delimiter?: string;
  encoding?: string;
  topK: number;
  device: Device | "auto";
  dtype: Dtype;
  abstain?: number;
  json?: boolean;
}

/** The command and its options. */
export function predictCommand(): Command {
  return new Command("predict")
    .description("Classify texts, the lines of standard input, or the rows of a table")
    .argument("[texts...]", "The texts; without any, each line of standard input is one")
    .addOption(
      new Option("--model <dir>", "The model's folder; repeated, each text is classified by all")
        .argParser((dir: string, dirs: string[]) => [...dirs, dir])
        .default([], "the last finished run"),
    )
    .option("--mixed", "Each line of standard input is the folder of a model, a tab and a text")
    .option(
      "--file <csv>",
      "Classify the rows of a CSV, TSV or JSON Lines file, and write it as CSV with the columns " +
        "predicted and score",
    )
    .option(
      "--text <column>",
      "The column of the texts in --file; default: the one with a usual name",
    )
    .option("--out <csv>", "Where the rows of --file go; default: standard output")
    .option("--delimiter <character>", `${DELIMITER.description}`)
    .option("--encoding <name>", `${ENCODING.description}`)
    .option("--top-k <number>", "Classes to print for a text", parseTopK, 3)
    .addOption(abstainOption("null with --json, nothing under predicted with --file"))
    .addOption(deviceOption())
    .addOption(dtypeOption())
    .option(
      "--json",
      "Print a list of {label, score} for each text as JSON; of {model, scores} for several models",
    )
    .action(run);
}

async function run(args: string[], options: Options, command: Command): Promise<void> {
  if (options.file !== undefined) return await runFile(options.file, args, options, command);
  for (const flag of ["text", "out", "delimiter", "encoding"] as const) {
    if (options[flag] !== undefined) throw new UserError(`Cannot use --${flag} without --file`);
  }
  const texts = options.mixed === true
    ? await readMixed(args, options)
    : await readTexts(args, options);
  if (texts.length === 0) throw new UserError("Cannot predict: no text was given");

  await using executor = await Executor.start({ device: options.device });
  const dirs = texts.map(({ model }) => model);
  const classifier = await MixedClassifier.load(executor, dirs, options.dtype);
  for (const dir of new Set(dirs)) checkAbstain(options.abstain, dir, classifier.problemType(dir));
  const { abstain = 0 } = options;
  const results = (await classifier.classify(texts)).map((row) =>
    row[0]!.score < abstain ? null : row.slice(0, options.topK)
  );
  const byModel = Map.groupBy(texts, ({ model }) => model);
  const models = byModel.size;
  const several = models > 1 || options.mixed === true;
  for (const [model, group] of byModel) {
    const counts = classifier.countTokens(model, group.map(({ text }) => text));
    const prefix = several ? `${model}: ` : "";
    tell(unknownLine(unknownShare(counts)), prefix);
    tell(lossLine(classifier.lossOf(model, group.map(({ text }) => text))), prefix);
  }
  if (options.json) {
    const named = texts.map(({ model }, i) => ({ model, scores: results[i] }));
    const byText = options.mixed === true ? named : chunks(named, models);
    console.log(JSON.stringify(several ? byText : results));
    return;
  }
  for (const [i, { text, model }] of texts.entries()) {
    const format = classifier.problemType(model) === "regression" ? decimals : percent;
    const title = several ? `${text} (${model})` : text;
    const result = results[i];
    console.log(result ? formatResult(title, result, format) : `${title}\n  not sure`);
  }
}

/** Pairs each text with each of the models. */
async function readTexts(args: string[], { model }: Options): Promise<MixedText[]> {
  const models = model.length > 0 ? [...new Set(model)] : [await lastRun()];
  const empty = args.findIndex((text) => text.trim() === "");
  if (empty >= 0) throw new UserError(`Cannot predict: text ${empty + 1} is empty`);
  const texts = args.length > 0 ? args : await readLines();
  return texts.flatMap((text) => models.map((model) => ({ model, text })));
}

/** Pairs each text with the model that its line names. */
async function readMixed(args: string[], { model }: Options): Promise<MixedText[]> {
  if (args.length > 0 || model.length > 0) {
    throw new UserError("Cannot use --mixed with texts or --model: each line names its model");
  }
  return (await readLines()).map((line, i) => {
    const tab = line.indexOf("\t");
    const text = line.slice(tab + 1);
    if (tab > 0 && text.trim() !== "") return { model: line.slice(0, tab), text };
    throw lineError(i, "expected a model's folder, a tab and a text");
  });
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * The lines of standard input, one text each, so that results match lines. As in tables, `\n`,
 * `\r\n` and `\r` end a line.
 *
 * @throws {UserError} If a line is blank, not UTF-8, or holds a NUL character.
 */
async function readLines(): Promise<string[]> {
  const bytes = await buffer(Deno.stdin.readable);
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const isEnd = (byte: number) => byte === LINE_FEED || byte === CARRIAGE_RETURN;
  const lines: string[] = [];
  for (let start = 0; start < bytes.length;) {
    const length = bytes.subarray(start).findIndex(isEnd);
    const end = length < 0 ? bytes.length : start + length;
    lines.push(decodeLine(decoder, bytes.subarray(start, end), lines.length));
    const isPair = bytes[end] === CARRIAGE_RETURN && bytes[end + 1] === LINE_FEED;
    start = end + (isPair ? 2 : 1);
  }
  return lines;
}

function decodeLine(decoder: TextDecoder, bytes: Uint8Array, index: number): string {
  let line: string;
  try {
    line = decoder.decode(bytes);
  } catch {
    throw lineError(index, "it is not UTF-8 text");
  }
  if (line.includes("\0")) throw lineError(index, "it holds a NUL character, which is no text");
  if (line.trim() === "") throw lineError(index, "it is blank, and each line is a text");
  return line;
}

/** @param index Counted from 0. */
function lineError(index: number, rule: string): UserError {
  return new UserError(`Cannot read standard input line ${index + 1}: ${rule}`);
}

/** Reports the share of the texts that a model cannot read or does not see, if there is any. */
function tell(line: string | undefined, prefix = ""): void {
  if (line !== undefined) printNote(`${prefix}${line}`);
}

/** Classifies the rows of a table. */
async function runFile(
  file: string,
  args: string[],
  { model: models, mixed, json, out, device, dtype, abstain, ...options }: Options,
  command: Command,
): Promise<void> {
  if (args.length > 0 || mixed === true || json === true || models.length > 1) {
    throw new UserError("Cannot use --file with texts, --mixed, --json or several --model");
  }
  const model = models[0] ?? await lastRun();
  using interruption = new Interruption("Stopping");
  const { signal } = interruption;
  await using executor = await Executor.start({ device });
  const classifier = await TextClassifier.load(executor, model, dtype);
  checkAbstain(abstain, model, classifier.problemType);
  const bar = new RowsBar();
  let last: TableProgress | undefined;
  // Rows on a terminal already show the progress.
  const isShown = out !== undefined || !Deno.stdout.isTerminal();
  const csv = predictTable(classifier, file, {
    ...options,
    abstain,
    onNote: printNote,
    onProgress: (progress) => {
      last = progress;
      if (isShown) bar.show(progress);
    },
    signal,
  });
  try {
    if (out !== undefined) await writeFileAtomically(out, csv);
    else await ReadableStream.from(csv).pipeTo(Deno.stdout.writable);
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
    bar.stop();
    command.error(out === undefined ? "Stopped" : `Stopped: '${out}' was not written`, {
      exitCode: interruption.exitCode,
    });
  } finally {
    bar.stop();
  }
  if (last !== undefined) {
    tell(unknownLine(last.unknownShare));
    tell(lossLine(last.loss));
  }
  if (out !== undefined) console.error(`${count(bar.total)} rows are in ${out}`);
}

function formatResult(
  text: string,
  scores: readonly LabelScore[],
  format: (score: number) => string,
): string {
  const lines = scores.map(({ label, score }) => `  ${format(score).padStart(7)}  ${label}`);
  return [text, ...lines].join("\n");
}

function parseTopK(value: string): number {
  const topK = Number(value);
  if (!Number.isInteger(topK) || topK < 1) throw new InvalidArgumentError("It must be 1 or more.");
  return topK;
}
