/**
 * How fast the server answers: a load generator on the same machine drives a server of its own, with
 * a model of random weights.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { baseOf, saveAdapter } from "../models/adapter.ts";
import { saveClassifier } from "../models/classifier.ts";
import { labelsOf, readConfig } from "../models/config.ts";
import { TextClassifier } from "../models/text_classifier.ts";
import { EMBEDDING, type PromptEncoder, virtualTokenSize } from "../models/prompt_encoder.ts";
import { BertTokenizer } from "../models/tokenizer.ts";
import { initialWeights } from "../models/weights.ts";
import type { Device } from "../onnx/device.ts";
import { Executor } from "../onnx/executor.ts";
import { Random } from "../onnx/random.ts";
import { METRICS_FILE } from "../training/run_folder.ts";
import { type BENCH_SIZES, benchConfig, median } from "./train.ts";

/** What is timed. */
export interface ServeBenchOptions {
  size: keyof typeof BENCH_SIZES;
  /** Tokens of each text. */
  length: number;
  /** How many requests are under way at once; each is measured by itself. */
  concurrency: readonly number[];
  /** How long each is measured. */
  seconds: number;
  /** Prefixes on the model, one of which each request names; 0 for the model itself. */
  adapters: number;
  /** How often the server is started to time its first answer. */
  coldStarts: number;
  device: Device;
}

/** What the server did with so many requests at once. */
export interface ServeLoadResult {
  concurrency: number;
  requests: number;
  /** Requests with another answer than 200. */
  failures: number;
  requests_per_second: number;
  p50_ms: number;
  p95_ms: number;
  p99_ms: number;
  mean_batch_rows: number;
  /** CPU time of the server by time, so that 2 is two cores. */
  cpu: number;
  /** The throughput by that of {@link ServeBench.plain_loop_texts_per_second}. */
  plain_loop_share: number;
}

/** What {@link benchServe} finds. */
export interface ServeBench {
  device: Device;
  size: string;
  length: number;
  adapters: number;
  /** From the start of the process to its first answer, the median; none if it was not measured. */
  cold_start_ms: number | undefined;
  /** What the executor does alone in batches of {@link PLAIN_BATCH_SIZE}. */
  plain_loop_texts_per_second: number;
  results: ServeLoadResult[];
}

/** Texts of a batch in the plain loop. */
export const PLAIN_BATCH_SIZE = 64;

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const PERMISSIONS = ["--allow-read", "--allow-write", "--allow-net", "--allow-run=deno"];

/** Measures a server that is started for this and stopped afterwards. */
export async function benchServe(options: ServeBenchOptions): Promise<ServeBench> {
  const { size, length, device, seconds, adapters } = options;
  const runsDir = await Deno.makeTempDir();
  try {
    const words = await writeModel(join(runsDir, "bench"), size);
    const texts = randomTexts(words, length);
    await writeAdapters(runsDir, adapters);
    const models = Array.from({ length: adapters }, (_, i) => `adapter-${i}`);
    const coldStarts: number[] = [];
    for (let i = 0; i < options.coldStarts; i++) {
      coldStarts.push(await coldStart(runsDir, device, texts));
    }
    const plain = await plainLoop(join(runsDir, "bench"), device, texts, seconds);
    const results: ServeLoadResult[] = [];
    await using server = await Server.start(runsDir, device);
    for (const model of ["bench", ...models]) await server.predict(texts(), model);
    for (const concurrency of options.concurrency) {
      results.push(await load(server, texts, models, { concurrency, seconds, plain }));
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

/** A server process with the models of a folder. */
class Server implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #url: string;

  private constructor(process: Deno.ChildProcess, url: string) {
    this.#process = process;
    this.#url = url;
  }

  static async start(runsDir: string, device: Device): Promise<Server> {
    const command = ["serve", "--port", "0", "--runs", runsDir, "--device", device];
    const permissions = [...PERMISSIONS, ...device === "native" ? ["--allow-ffi"] : []];
    const process = new Deno.Command("deno", {
      args: ["run", "--quiet", "--no-prompt", ...permissions, MAIN, ...command],
      stdout: "null",
      stderr: "piped",
    }).spawn();
    let printed = "";
    const lines = process.stderr.pipeThrough(new TextDecoderStream()).getReader();
    while (true) {
      const { value, done } = await lines.read();
      if (done) throw new Error(`The server did not start: ${printed}`);
      printed += value;
      const [url] = /http:\/\/\S+(?=\s)/.exec(printed) ?? [];
      if (url === undefined) continue;
      void readOn(lines);
      return new Server(process, url);
    }
  }

  /** Whether a text was classified. */
  async predict(text: string, model = "bench"): Promise<boolean> {
    const body = JSON.stringify({ model, inputs: [text] });
    const response = await fetch(`${this.#url}/v1/predict`, { method: "POST", body });
    await response.text();
    return response.status === 200;
  }

  /** The sum of a metric's samples. */
  async metrics(): Promise<(name: string) => number> {
    const text = await (await fetch(`${this.#url}/metrics`)).text();
    return (name) =>
      text.split("\n")
        .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
        .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGTERM");
    await this.#process.status;
  }
}

/** A pipe that nobody reads would stop the server. */
async function readOn(lines: ReadableStreamDefaultReader<string>): Promise<void> {
  while (!(await lines.read()).done);
}

async function coldStart(runsDir: string, device: Device, text: () => string): Promise<number> {
  const startedAt = performance.now();
  await using server = await Server.start(runsDir, device);
  if (!await server.predict(text())) throw new Error("The server did not answer its first request");
  return performance.now() - startedAt;
}

/** Texts a second of the executor without a server, in full batches. */
async function plainLoop(
  dir: string,
  device: Device,
  text: () => string,
  seconds: number,
): Promise<number> {
  await using executor = await Executor.start({ device });
  const classifier = await TextClassifier.load(executor, dir);
  const batch = Array.from({ length: PLAIN_BATCH_SIZE }, () => classifier.encode(text()));
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
      if (!await server.predict(text(), model)) failures++;
      latenciesMs.push(performance.now() - sentAt);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, client));
  const elapsedSeconds = (performance.now() - startedAt) / 1000;
  const after = await server.metrics();
  const grown = (name: string) => after(name) - before(name);
  const sorted = latenciesMs.sort((a, b) => a - b);
  const percentile = (share: number) => sorted[Math.ceil(share * sorted.length) - 1]!;
  const requestsPerSecond = sorted.length / elapsedSeconds;
  return {
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

/** Writes the folder of a finished run with random weights; gives the words that it knows. */
async function writeModel(dir: string, size: keyof typeof BENCH_SIZES): Promise<string[]> {
  const config = benchConfig(size);
  const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  const words = Array.from({ length: config.vocab_size - special.length }, (_, i) => `w${i}`);
  const tokenizer = BertTokenizer.fromVocabulary([...special, ...words], {
    modelMaxLength: config.max_position_embeddings,
  });
  const label2id = Object.fromEntries(labelsOf(config).map((label, id) => [label, id]));
  await saveClassifier(dir, {
    config: { ...config, label2id },
    tokenizer,
    weights: initialWeights(config, 1),
  });
  await Deno.writeTextFile(join(dir, METRICS_FILE), "{}");
  return words;
}

/** Writes finished runs with prefixes of 16 virtual tokens and random values. */
async function writeAdapters(runsDir: string, count: number): Promise<void> {
  if (count === 0) return;
  const baseDir = join(runsDir, "bench");
  const config = await readConfig(baseDir);
  const encoder: PromptEncoder = {
    peft_type: "PREFIX_TUNING",
    num_virtual_tokens: 16,
    prefix_projection: false,
    encoder_hidden_size: config.hidden_size,
  };
  const labelCount = labelsOf(config).length;
  const random = new Random(3);
  const values = (length: number) =>
    Float32Array.from({ length }, () => random.normal() * config.initializer_range);
  const base = await baseOf(baseDir);
  for (let i = 0; i < count; i++) {
    const dir = join(runsDir, `adapter-${i}`);
    const weights = {
      [EMBEDDING]: values(16 * virtualTokenSize(encoder.peft_type, config)),
      "classifier.weight": values(labelCount * config.hidden_size),
      "classifier.bias": values(labelCount),
    };
    await saveAdapter(dir, { base, encoder, config, weights, maxLength: 128 });
    await Deno.writeTextFile(join(dir, METRICS_FILE), "{}");
  }
}

/** Gives texts of so many tokens, `[CLS]` and `[SEP]` included. */
function randomTexts(words: readonly string[], length: number): () => string {
  const random = new Random(1);
  return () =>
    Array.from({ length: length - 2 }, () => words[random.integer(words.length)]!).join(" ");
}
