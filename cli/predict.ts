/**
 * `predict`: classifies texts.
 *
 * @module
 */
import { Command, InvalidArgumentError } from "commander";
import { text } from "node:stream/consumers";
import { chunks } from "../data/batches.ts";
import { UserError } from "../lib/user_error.ts";
import { MixedClassifier, type MixedText } from "../models/inference/mixed_classifier.ts";
import type { LabelScore } from "../models/inference/text_classifier.ts";
import type { Dtype } from "../models/weights.ts";
import type { Device } from "../onnx/runtime/device.ts";
import { Executor } from "../onnx/runtime/executor.ts";
import { decimals } from "../training/metrics.ts";
import { deviceOption } from "./device_option.ts";
import { dtypeOption } from "./dtype_option.ts";
import { lastRun } from "./last_run.ts";
import { percent } from "./report.ts";

interface Options {
  model: string[];
  mixed?: boolean;
  topK: number;
  device: Device | "auto";
  dtype: Dtype;
  json?: boolean;
}

/** The command and its options. */
export function predictCommand(): Command {
  return new Command("predict")
    .description("Classify texts, or the lines of standard input")
    .argument("[texts...]", "The texts; without any, each line of standard input is one")
    .option(
      "--model <dir>",
      "The model's folder; repeated, each text is classified by all; default: the last finished run",
      (dir: string, dirs: string[]) => [...dirs, dir],
      [],
    )
    .option("--mixed", "Each line of standard input is the folder of a model, a tab and a text")
    .option("--top-k <number>", "How many classes to print for a text", parseTopK, 3)
    .addOption(deviceOption())
    .addOption(dtypeOption())
    .option(
      "--json",
      "Print a list of {label, score} for each text as JSON; of {model, scores} for several models",
    )
    .action(run);
}

async function run(args: string[], options: Options): Promise<void> {
  const texts = options.mixed === true
    ? await readMixed(args, options)
    : await readTexts(args, options);
  if (texts.length === 0) throw new UserError("Cannot predict: no text was given");
  const empty = texts.findIndex(({ text }) => text.trim() === "");
  if (empty >= 0) throw new UserError(`Cannot predict: text ${empty + 1} is empty`);

  await using executor = await Executor.start({ device: options.device });
  const dirs = texts.map(({ model }) => model);
  const classifier = await MixedClassifier.load(executor, dirs, options.dtype);
  const results = (await classifier.classify(texts)).map((row) => row.slice(0, options.topK));
  const models = new Set(texts.map(({ model }) => model)).size;
  const several = models > 1 || options.mixed === true;
  if (options.json) {
    const named = texts.map(({ model }, i) => ({ model, scores: results[i]! }));
    const byText = options.mixed === true ? named : chunks(named, models);
    console.log(JSON.stringify(several ? byText : results));
    return;
  }
  for (const [i, { text, model }] of texts.entries()) {
    const format = classifier.problemType(model) === "regression" ? decimals : percent;
    const title = several ? `${text} (${model})` : text;
    console.log(formatResult(title, results[i]!, format));
  }
}

/** Each text with each of the models. */
async function readTexts(args: string[], { model }: Options): Promise<MixedText[]> {
  const models = model.length > 0 ? [...new Set(model)] : [await lastRun()];
  const texts = args.length > 0 ? args : (await readLines()).map(({ line }) => line);
  return texts.flatMap((text) => models.map((model) => ({ model, text })));
}

/** Each text with the model that its line names. */
async function readMixed(args: string[], { model }: Options): Promise<MixedText[]> {
  if (args.length > 0 || model.length > 0) {
    throw new UserError("Cannot use --mixed with texts or --model: each line names its model");
  }
  return (await readLines()).map(({ line, number }) => {
    const tab = line.indexOf("\t");
    if (tab > 0) return { model: line.slice(0, tab), text: line.slice(tab + 1) };
    throw new UserError(`Cannot read line ${number}: expected a model's folder, a tab and a text`);
  });
}

/** The lines of standard input that are not empty, counted from 1. */
async function readLines(): Promise<{ line: string; number: number }[]> {
  return (await text(Deno.stdin.readable)).split(/\r?\n/)
    .map((line, i) => ({ line, number: i + 1 }))
    .filter(({ line }) => line.trim() !== "");
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
