/**
 * `bench`: how fast this machine trains and serves.
 *
 * @module
 */
import { Command, InvalidArgumentError } from "commander";
import Table from "cli-table3";
import { benchAdapters } from "../bench/adapters.ts";
import { benchKernels } from "../bench/kernels.ts";
import { machine } from "../bench/machine.ts";
import { benchOverload, type OverloadBenchOptions } from "../bench/overload.ts";
import { benchServe, PLAIN_BATCH_SIZE, type ServeBench } from "../bench/serve.ts";
import { BENCH_SIZES, benchTrain, MAX_LENGTH, type TrainBench } from "../bench/train.ts";
import { count } from "../lib/format.ts";
import { type Mode, MODES } from "../models/tuners/tuner.ts";
import { ADAPTER_MODES, type AdapterMode } from "../bench/server.ts";
import { chooseDevice, type Device, DEVICES } from "../onnx/runtime/device.ts";
import { Executor } from "../onnx/runtime/executor.ts";
import { benchMemoryCommand } from "./bench_memory.ts";
import { benchPeersCommand } from "./bench_peers.ts";
import { benchPredictCommand } from "./bench_predict.ts";
import { deviceOption } from "./device_option.ts";
import { choiceOption } from "./choices.ts";
import { parseCount } from "./parse_count.ts";

interface AdapterOptions {
  mode: AdapterMode;
  size: keyof typeof BENCH_SIZES;
  length: number;
  adapters: number;
  batches: number;
  device: Device | "auto";
  threads?: number;
  json?: boolean;
}

interface OverloadOptions extends Omit<OverloadBenchOptions, "device"> {
  device: Device | "auto";
  json?: boolean;
}

interface ServeOptions {
  size: keyof typeof BENCH_SIZES;
  length: number;
  concurrency: number[];
  seconds: number;
  adapters?: number;
  training?: boolean;
  coldStarts: number;
  device: Device | "auto";
  json?: boolean;
}

interface KernelOptions extends Pick<Options, "mode" | "size" | "batchSize" | "length" | "json"> {}

interface Options {
  mode: Mode | "all";
  size: keyof typeof BENCH_SIZES;
  batchSize: number;
  length: number;
  steps: number;
  gradientCheckpointing?: boolean;
  device: Device | "auto" | "all";
  threads?: number;
  json?: boolean;
}

/** The command with its sub-commands. */
export function benchCommand(): Command {
  const sizes = Object.keys(BENCH_SIZES);
  return new Command("bench")
    .description("Measure how fast this machine trains and serves")
    .addCommand(
      new Command("train")
        .description("Time steps of training on random texts")
        .addOption(choiceOption("--size <name>", "The model", sizes).default("minilm"))
        .addOption(
          choiceOption("--mode <name>", "The weights to train, as in 'train'; all = each", [
            "all",
            ...MODES,
          ]).default("full"),
        )
        .option("--batch-size <number>", "Texts in a batch", parseCount, 16)
        .option("--length <number>", "Tokens of a text, 512 at most", parseLength, 16)
        .option("--gradient-checkpointing", "Keep only what the layers take, as in 'train'")
        .option("--steps <number>", "Steps whose median is taken", parseCount, 10)
        .addOption(
          choiceOption(
            "--device <name>",
            "auto takes one as training does; all = every one there is",
            ["auto", "all", ...DEVICES],
          ).default("auto"),
        )
        .option("--threads <number>", "CPU threads; default: all cores", parseCount)
        .option("--json", "Print the results as JSON on standard output")
        .action(run),
    )
    .addCommand(
      new Command("kernels")
        .description("Count what a GPU has to launch for a step of training")
        .addOption(choiceOption("--size <name>", "The model", sizes).default("minilm"))
        .addOption(
          choiceOption("--mode <name>", "The weights to train; all = each", [
            "all",
            ...MODES,
          ]).default("full"),
        )
        .option("--batch-size <number>", "Texts in a batch", parseCount, 16)
        .option("--length <number>", "Tokens of a text, 512 at most", parseLength, 16)
        .option("--json", "Print the results as JSON on standard output")
        .action(runKernels),
    )
    .addCommand(
      new Command("serve")
        .description("Drive a server of its own on this machine, with a model of random weights")
        .addOption(choiceOption("--size <name>", "The model", sizes).default("minilm"))
        .option("--length <number>", "Tokens of a text, 512 at most", parseLength, 9)
        .option("--concurrency <numbers>", "Requests at once", parseCounts, [1, 8, 64])
        .option("--seconds <number>", "How long each is measured", parseCount, 10)
        .option(
          "--adapters <number>",
          "Number of prefixes that the requests take in turn; none by default",
          parseCount,
        )
        .option("--training", "Measure again while the server trains on the same cores")
        .option("--cold-starts <number>", "Starts whose median is taken", parseCount, 10)
        .addOption(deviceOption())
        .option("--json", "Print the results as JSON on standard output")
        .action(runServe),
    )
    .addCommand(
      new Command("adapters")
        .description("Time batches whose rows belong to one adapter, and to many")
        .addOption(choiceOption("--size <name>", "The base", sizes).default("minilm"))
        .option("--length <number>", "Tokens of a text, 512 at most", parseLength, 9)
        .addOption(
          choiceOption("--mode <name>", "Kind of the adapters, as in 'train'", ADAPTER_MODES)
            .default("prefix"),
        )
        .option("--adapters <number>", "Adapters, and rows of the batch", parseCount, 64)
        .option("--batches <number>", "Batches whose median is taken", parseCount, 20)
        .addOption(deviceOption())
        .option("--threads <number>", "CPU threads; default: all cores", parseCount)
        .option("--json", "Print the results as JSON on standard output")
        .action(runAdapters),
    )
    .addCommand(benchPredictCommand())
    .addCommand(
      new Command("overload")
        .description("Send a server of its own more requests at once than it answers")
        .addOption(choiceOption("--size <name>", "The model", sizes).default("minilm"))
        .option("--length <number>", "Tokens of a text, 512 at most", parseLength, 9)
        .option("--connections <number>", "Clients", parseCount, 200)
        .option("--max-concurrent-requests <number>", "Requests that it answers", parseCount, 64)
        .option("--seconds <number>", "How long a wave lasts", parseCount, 30)
        .option("--waves <number>", "Times that all clients connect", parseCount, 2)
        .addOption(deviceOption())
        .option("--json", "Print the results as JSON on standard output")
        .action(runOverload),
    )
    .addCommand(benchMemoryCommand())
    .addCommand(benchPeersCommand());
}

async function runKernels({ mode, json, ...options }: KernelOptions): Promise<void> {
  const { reason } = await chooseDevice("webgpu");
  console.error(`Counting kernels on webgpu (${reason})`);
  const results = [];
  for (const each of mode === "all" ? MODES : [mode]) {
    results.push({ mode: each, ...await benchKernels({ ...options, mode: each }) });
  }
  if (json) {
    console.log(JSON.stringify({ ...options, results }));
    return;
  }
  const table = new Table({
    head: ["mode", "forward + backward", "optimizer", "together"],
    colAligns: ["left", "right", "right", "right"],
    style: { head: [], border: [], compact: true },
  });
  for (const { mode, graph, optimizer } of results) {
    table.push([mode, graph, optimizer, graph + optimizer]);
  }
  const { size, batchSize, length } = options;
  console.log(`${size}, ${batchSize} texts of ${length} tokens, kernels of a step
${table}`);
}

async function runAdapters(options: AdapterOptions): Promise<void> {
  const threads = options.threads ?? navigator.hardwareConcurrency;
  await using executor = await Executor.start({ device: options.device, threads });
  const { device } = executor.choice;
  console.error(`Timing ${options.batches} batches of each kind on ${device}`);
  const bench = await benchAdapters(executor, options);
  const { mode, size, length, adapters } = options;
  console.log(
    options.json
      ? JSON.stringify({
        machine: machine(threads),
        device,
        mode,
        size,
        length,
        adapters,
        ...bench,
      })
      : `${size} on ${device}, ${adapters} texts of ${length} tokens, mode ${mode}:
one adapter ${milliseconds(bench.one_adapter_ms)}, ${adapters} adapters ${
        milliseconds(bench.mixed_ms)
      }: ${bench.mixed_share.toFixed(2)} of the speed.
An adapter takes ${kilobytes(bench.bytes_per_adapter)} in memory, its file ${
        kilobytes(bench.file_bytes)
      }.`,
  );
}

async function runOverload(options: OverloadOptions): Promise<void> {
  const { device } = await chooseDevice(options.device);
  const { waves, seconds, connections, maxConcurrentRequests: limit } = options;
  console.error(`Sending ${waves} waves of ${seconds} s to a server on ${device}`);
  const results = await benchOverload({ ...options, device });
  if (options.json) {
    const { size, length } = options;
    console.log(JSON.stringify({ device, size, length, connections, limit, waves: results }));
    return;
  }
  const table = new Table({
    head: ["wave", "200", "429", "other", "lost", "/health", "slowest", "memory"],
    colAligns: Array.from({ length: 8 }, () => "right" as const),
    style: { head: [], border: [], compact: true },
  });
  for (const [i, { statuses, lost, ...wave }] of results.entries()) {
    const { 200: answered = 0, 429: refused = 0, ...others } = statuses;
    table.push([
      i + 1,
      answered,
      refused,
      Object.values(others).reduce((sum, count) => sum + count, 0),
      lost,
      milliseconds(wave.health_median_ms),
      milliseconds(wave.health_max_ms),
      `${Math.round(wave.resident_bytes / 1e6)} MB`,
    ]);
  }
  console.log(`${connections} clients of a server that answers ${limit} at once, on ${device}
${table}`);
}

async function runServe(options: ServeOptions): Promise<void> {
  const { device } = await chooseDevice(options.device);
  console.error(`Starting servers on ${device}, and sending them requests`);
  const bench = await benchServe({
    ...options,
    adapters: options.adapters ?? 0,
    training: options.training ?? false,
    device,
  });
  const threads = navigator.hardwareConcurrency;
  const result = { machine: machine(threads), versions: { deno: Deno.version.deno }, ...bench };
  console.log(options.json ? JSON.stringify(result) : formatServeBench(bench));
}

function formatServeBench(bench: ServeBench): string {
  const table = new Table({
    head: ["at once", "requests/s", "p50", "p95", "p99", "texts a batch", "CPU", "share", "failed"],
    colAligns: Array.from({ length: 9 }, () => "right" as const),
    style: { head: [], border: [], compact: true },
  });
  for (const result of bench.results) {
    table.push([
      result.training ? `${result.concurrency}, training` : result.concurrency,
      result.requests_per_second.toFixed(0),
      milliseconds(result.p50_ms),
      milliseconds(result.p95_ms),
      milliseconds(result.p99_ms),
      result.mean_batch_rows.toFixed(1),
      result.cpu.toFixed(1),
      `${Math.round(100 * result.plain_loop_share)} %`,
      result.failures,
    ]);
  }
  const { size, length, adapters, device, cold_start_ms, plain_loop_texts_per_second: plain } =
    bench;
  const start = cold_start_ms === undefined ? "" : `
From the start of the process to its first answer: ${milliseconds(cold_start_ms)}.`;
  const mixed = adapters === 0 ? "" : `, each for one of ${adapters} prefixes`;
  return `${size}, texts of ${length} tokens${mixed}, on ${device}; the client ran on the same machine
${table}
The share is of ${
    plain.toFixed(0)
  } texts/s, which the executor does in batches of ${PLAIN_BATCH_SIZE} without a server.${start}`;
}

async function run(options: Options): Promise<void> {
  const threads = options.threads ?? navigator.hardwareConcurrency;
  const bench: TrainBench = {
    machine: machine(threads),
    versions: { deno: Deno.version.deno, onnxruntime: "" },
    results: [],
  };
  for (const device of await devices(options.device)) {
    await using executor = await Executor.start({ device, threads });
    bench.versions.onnxruntime = executor.onnxruntimeVersion;
    for (const mode of options.mode === "all" ? MODES : [options.mode]) {
      console.error(`Timing ${options.steps} steps of mode ${mode} on ${device}`);
      bench.results.push(await benchTrain(executor, { ...options, mode }));
    }
  }
  console.log(options.json ? JSON.stringify(bench) : formatBench(bench));
}

async function devices(wanted: Options["device"]): Promise<Device[]> {
  if (wanted !== "all") return [(await chooseDevice(wanted)).device];
  const found = await Promise.all(
    DEVICES.map((device) => chooseDevice(device).then(() => [device], () => [])),
  );
  return found.flat();
}

function formatBench({ machine, results }: TrainBench): string {
  const table = new Table({
    head: [
      "device",
      "mode",
      "step",
      "forward + backward",
      "optimizer",
      "tokens/s",
      "parts",
      "memory",
      "GFLOP/s",
      "share",
      "whole step",
    ],
    colAligns: ["left", "left", ...Array.from({ length: 9 }, () => "right" as const)],
    style: { head: [], border: [], compact: true },
  });
  for (const result of results) {
    table.push([
      result.device,
      result.mode,
      milliseconds(result.step_ms),
      milliseconds(result.forward_backward_ms),
      milliseconds(result.optimizer_ms),
      count(Math.round(result.tokens_per_second)),
      result.parts,
      `${(result.peak_resident_bytes / 1e9).toFixed(1)} GB`,
      result.gflops.toFixed(1),
      formatShare(result.matmul_share, result.matmul_gflops),
      result.whole_step === undefined
        ? ""
        : formatShare(result.whole_step.share, result.whole_step.product_gflops),
    ]);
  }
  const { size, batch_size, length } = results[0]!;
  return `${size}, ${batch_size} texts of ${length} tokens, on ${machine.cpu}, ${machine.threads} threads
${table}
Share: of the rate of matrix products of the model's size alone, in forward and backward.
Whole step: its nominal work by all of its time, of the rate of products of 512 x 768 x 3,072.`;
}

function formatShare(share: number, gflops: number): string {
  return `${Math.round(100 * share)} % of ${gflops.toFixed(1)}`;
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1e3).toFixed(0)} kB`;
}

function milliseconds(value: number): string {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}

function parseLength(text: string): number {
  const length = parseCount(text);
  if (length <= MAX_LENGTH) return length;
  throw new InvalidArgumentError(`It must be ${MAX_LENGTH} or less.`);
}

function parseCounts(text: string): number[] {
  return text.split(",").map(parseCount);
}
