/**
 * How fast the server answers: a load generator drives a server of its own on the same machine,
 * with a model of random weights.
 *
 * @module
 */
import { join } from "node:path";
import { TextClassifier } from "../models/inference/text_classifier.ts";
import type { Device } from "../onnx/runtime/device.ts";
import { Executor } from "../onnx/runtime/executor.ts";
import { Random } from "../lib/random.ts";
import { BENCH_MODEL, randomTexts, Server, writeAdapters, writeModel } from "./server.ts";
import { type BENCH_SIZES, median } from "./train.ts";

/** Settings of {@link benchServe}. */
export interface ServeBenchOptions {
  size: keyof typeof BENCH_SIZES;
  /** Tokens of each text. */
  length: number;
  /** Numbers of requests under way at once, each measured by itself. */
  concurrency: readonly number[];
  /** The length of each measurement. */
  seconds: number;
  /** The number of prefixes on the model, for requests to name; 0 for the model itself. */
  adapters: number;
  /** Whether to measure again while the server trains on the same cores. */
  training: boolean;
  /** The number of starts to time the first answer. */
  coldStarts: number;
  device: Device;
}

/** The server's results at one number of requests at once. */
export interface ServeLoadResult {
  /** Whether the server was training. */
  training: boolean;
  concurrency: number;
  /** Requests answered with 200; the figures are of these. */
  requests: number;
  /** Requests with another answer, or none. */
  failures: number;
  requests_per_second: number;
  p50_ms: number;
  p95_ms: number;
  p99_ms: number;
  mean_batch_rows: number;
  /** CPU time of the server divided by time; 2 means two cores. */
  cpu: number;
  /** The throughput divided by {@link ServeBench.plain_loop_texts_per_second}. */
  plain_loop_share: number;
}

/** The result of {@link benchServe}. */
export interface ServeBench {
  device: Device;
  size: string;
  length: number;
  adapters: number;
  /** The median time from the start of the process to its first answer, if measured. */
  cold_start_ms: number | undefined;
  /** The executor's speed alone, in batches of {@link PLAIN_BATCH_SIZE}. */
  plain_loop_texts_per_second: number;
  results: ServeLoadResult[];
}

/** Texts of a batch in the plain loop. */
export const PLAIN_BATCH_SIZE = 64;

/** Measures a server of its own. */
export async function benchServe(options: ServeBenchOptions): Promise<ServeBench> {
  const { size, length, device, seconds, adapters } = options;
  const runsDir = await Deno.makeTempDir();
  try {
    const words = await writeModel(runsDir, size);
    const texts = randomTexts(words, length);
    await writeAdapters(runsDir, adapters);
    const models = Array.from({ length: adapters }, (_, i) => `adapter-${i}`);
    const coldStarts: number[] = [];
    for (let i = 0; i < options.coldStarts; i++) {
      coldStarts.push(await coldStart(runsDir, device, texts));
    }
    const plain = await plainLoop(join(runsDir, BENCH_MODEL), device, texts, seconds);
    const results: ServeLoadResult[] = [];
    await using server = await Server.start(runsDir, device);
    for (const model of [BENCH_MODEL, ...models]) await server.predict(texts(), model);
    for (const concurrency of options.concurrency) {
      results.push(await load(server, texts, models, { concurrency, seconds, plain }));
    }
    if (options.training) {
      await server.startTraining();
      for (const concurrency of options.concurrency) {
        const result = await load(server, texts, models, { concurrency, seconds, plain });
        results.push({ ...result, training: true });
      }
    }
    return {
      device,
      size,
      length,
      adapters,
      cold_start_ms: coldStarts.length === 0 ? undefined : median(coldStarts),
      plain_loop_texts_per_second: plain,
      results,
    };
  } finally {
    await Deno.remove(runsDir, { recursive: true });
  }
}

async function coldStart(runsDir: string, device: Device, text: () => string): Promise<number> {
  const startedAt = performance.now();
  await using server = await Server.start(runsDir, device);
  if (!await server.predict(text())) throw new Error("The server did not answer its first request");
  return performance.now() - startedAt;
}

/** The texts per second of the executor without a server, in full batches. */
async function plainLoop(
  dir: string,
  device: Device,
  text: () => string,
  seconds: number,
): Promise<number> {
  await using executor = await Executor.start({ device });
  const classifier = await TextClassifier.load(executor, dir);
  const batch = Array.from({ length: PLAIN_BATCH_SIZE }, () => classifier.encode(text())[0]!);
  await classifier.logits(batch);
  const startedAt = performance.now();
  let texts = 0;
  while (performance.now() - startedAt < seconds * 1000) {
    await classifier.logits(batch);
    texts += batch.length;
  }
  return texts / (performance.now() - startedAt) * 1000;
}

async function load(
  server: Server,
  text: () => string,
  models: readonly string[],
  { concurrency, seconds, plain }: { concurrency: number; seconds: number; plain: number },
): Promise<ServeLoadResult> {
  const before = await server.metrics();
  const startedAt = performance.now();
  const latenciesMs: number[] = [];
  const random = new Random(2);
  let failures = 0;
  const client = async () => {
    while (performance.now() - startedAt < seconds * 1000) {
      const sentAt = performance.now();
      const model = models[random.integer(Math.max(1, models.length))];
      if (await server.predict(text(), model)) latenciesMs.push(performance.now() - sentAt);
      else failures++;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, client));
  const elapsedSeconds = (performance.now() - startedAt) / 1000;
  const after = await server.metrics();
  const grown = (name: string) => after(name) - before(name);
  const sorted = latenciesMs.sort((a, b) => a - b);
  const percentile = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? NaN;
  const requestsPerSecond = sorted.length / elapsedSeconds;
  return {
    training: false,
    concurrency,
    requests: sorted.length,
    failures,
    requests_per_second: requestsPerSecond,
    p50_ms: percentile(0.5),
    p95_ms: percentile(0.95),
    p99_ms: percentile(0.99),
    mean_batch_rows: grown("graft_batch_rows_sum") / grown("graft_batch_rows_count"),
    cpu: grown("process_cpu_seconds_total") / elapsedSeconds,
    plain_loop_share: requestsPerSecond / plain,
  };
}
