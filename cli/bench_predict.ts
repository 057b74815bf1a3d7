/**
 * `bench predict`: how fast a trained model classifies texts.
 *
 * @module
 */
import { Command } from "commander";
import Table from "cli-table3";
import { benchPredict } from "../bench/predict.ts";
import type { PredictionBench } from "../bench/prediction.ts";
import { count } from "../lib/format.ts";
import type { Device } from "../onnx/runtime/device.ts";
import { Executor } from "../onnx/runtime/executor.ts";
import { lastFinishedRun } from "../training/folder/run_list.ts";
import { deviceOption } from "./device_option.ts";
import { parseCount } from "./parse_count.ts";

interface Options {
  model?: string;
  data: string;
  texts: number;
  device: Device | "auto";
  threads?: number;
  json?: boolean;
}

/** The command. */
export function benchPredictCommand(): Command {
  return new Command("predict")
    .description("Time a trained model, with weights as float32 and as 8 bits")
    .option("--model <dir>", "The model's folder; default: the last finished run")
    .option("--data <dir>", "The folder whose test texts are classified", "youtube")
    .option("--texts <number>", "How many, from the first", parseCount, 1024)
    .addOption(deviceOption())
    .option("--threads <number>", "CPU threads; default: all cores", parseCount)
    .option("--json", "Print the results as JSON on standard output")
    .action(run);
}

async function run(options: Options): Promise<void> {
  const { device, threads, texts } = options;
  const model = options.model ?? await lastFinishedRun();
  await using executor = await Executor.start({ device, threads });
  console.error(`Classifying ${texts} texts on ${executor.choice.device}`);
  const bench = await benchPredict(executor, { ...options, model });
  console.log(options.json ? JSON.stringify(bench) : formatBench(bench));
}

function formatBench({ device, model, results }: PredictionBench): string {
  const table = new Table({
    head: ["weights", "a text alone, p50", "batches of 32"],
    colAligns: ["left", "right", "right"],
    style: { head: [], border: [], compact: true },
  });
  for (const { dtype, batch1_p50_ms, batch32_texts_per_second } of results) {
    const throughput = `${count(Math.round(batch32_texts_per_second))} texts/s`;
    table.push([dtype, `${batch1_p50_ms.toFixed(2)} ms`, throughput]);
  }
  return `${model} on ${device}, from texts to classes\n${table}`;
}
