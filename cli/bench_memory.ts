/**
 * `bench memory`: how much memory a run of training takes.
 *
 * @module
 */
import { Command } from "commander";
import { benchMemory, type MemoryBench, type MemoryBenchOptions } from "../bench/memory.ts";
import { SAMPLE_DIR } from "../data/dataset.ts";
import { count } from "../lib/format.ts";
import { chooseDevice, type Device } from "../onnx/runtime/device.ts";
import { deviceOption } from "./device_option.ts";
import { parseCount } from "./parse_count.ts";

interface Options extends Omit<MemoryBenchOptions, "device"> {
  device: Device | "auto";
  json?: boolean;
}

/** The command. */
export function benchMemoryCommand(): Command {
  return new Command("memory")
    .description("Watch the memory of a run of training, from its first step to the model's folder")
    .option("--model <name>", "A folder, or random weights, as in 'train'", "scratch:tiny")
    .option("--data <dir>", "The folder of the data set; default: the sample")
    .option("--steps <number>", "Steps of training", parseCount, 2000)
    .addOption(deviceOption())
    .option("--json", "Print the result as JSON on standard output")
    .action(run);
}

async function run({ data = SAMPLE_DIR, ...options }: Options): Promise<void> {
  const { device } = await chooseDevice(options.device);
  console.error(`Training for ${count(options.steps)} steps on ${device}`);
  const bench = await benchMemory({ ...options, data, device });
  console.log(options.json ? JSON.stringify(bench) : format(bench));
}

function format({ model, device, resident, peak_resident_bytes }: MemoryBench): string {
  const steps = resident.map(({ step, bytes }) => `${megabytes(bytes)} after step ${count(step)}`);
  return `${model} on ${device}: ${[steps[0], steps.at(-1)].join(", ")}
At most ${megabytes(peak_resident_bytes)}, checkpoints, evaluation and export included.`;
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}
