/**
 * `predict`: classifies texts.
 *
 * @module
 */
import { Command, InvalidArgumentError } from "commander";
import { text } from "node:stream/consumers";
import { UserError } from "../data/user_error.ts";
import { type LabelScore, TextClassifier } from "../models/text_classifier.ts";
import type { Device } from "../onnx/device.ts";
import { Executor } from "../onnx/executor.ts";
import { decimals } from "../training/metrics.ts";
import { lastFinishedRun } from "../training/run_folder.ts";
import { deviceOption } from "./device_option.ts";
import { percent } from "./report.ts";

interface Options {
  model?: string;
  topK: number;
  device: Device | "auto";
  json?: boolean;
}

/** The command and its options. */
export function predictCommand(): Command {
  return new Command("predict")
    .description("Classify texts, or the lines of standard input")
    .argument("[texts...]", "The texts; without any, each line of standard input is one")
    .option("--model <dir>", "The model's folder; default: the last finished run")
    .option("--top-k <number>", "How many classes to print for a text", parseTopK, 3)
    .addOption(deviceOption())
    .option("--json", "Print a list of {label, score} for each text as JSON")
    .action(run);
}

async function run(args: string[], options: Options): Promise<void> {
  const modelDir = options.model ?? await lastFinishedRun();
  const texts = args.length > 0 ? args : await readLines();
  if (texts.length === 0) throw new UserError("Cannot predict: no text was given");
  const empty = texts.findIndex((text) => text.trim() === "");
  if (empty >= 0) throw new UserError(`Cannot predict: text ${empty + 1} is empty`);

  await using executor = await Executor.start({ device: options.device });
  const classifier = await TextClassifier.load(executor, modelDir);
  const results = (await classifier.classify(texts)).map((row) => row.slice(0, options.topK));
  if (options.json) {
    console.log(JSON.stringify(results));
    return;
  }
  const format = classifier.problemType === "regression" ? decimals : percent;
  for (const [i, result] of results.entries()) {
    console.log(formatResult(texts[i]!, result, format));
  }
}

async function readLines(): Promise<string[]> {
  const lines = (await text(Deno.stdin.readable)).split(/\r?\n/);
  return lines.filter((line) => line.trim() !== "");
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
