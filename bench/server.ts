/**
 * A server of its own for a benchmark, and models of random weights for it.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { baseOf, saveAdapter } from "../models/formats/adapter.ts";
import { saveClassifier } from "../models/formats/classifier_folder.ts";
import { familyOf, readConfig } from "../models/family.ts";
import { labelsOf } from "../models/formats/config.ts";
import { type Mode, tunerOf } from "../models/tuners/tuner.ts";
import { Tokenizer } from "../models/text/tokenizer.ts";
import { headParameters } from "../models/parameters.ts";
import { initialWeights } from "../models/weights.ts";
import { elementCount } from "../onnx/graph/shape.ts";
import type { Device } from "../onnx/runtime/device.ts";
import { Random } from "../lib/random.ts";
import { METRICS_FILE } from "../training/folder/run_folder.ts";
import { TrainSettings } from "../training/settings.ts";
import { type BENCH_SIZES, benchConfig } from "./train.ts";

/** The modes that leave a base as it is. */
export const ADAPTER_MODES = ["prefix", "prompt", "lora"] as const satisfies readonly Mode[];

/** One of {@link ADAPTER_MODES}. */
export type AdapterMode = (typeof ADAPTER_MODES)[number];

/** The name of the model of {@link writeModel}. */
export const BENCH_MODEL = "bench";

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
const PERMISSIONS = [
  "--allow-read",
  "--allow-write",
  "--allow-net",
  "--allow-run=deno",
  "--allow-sys=setPriority",
];

/** A server process with the models of a folder. */
export class Server implements AsyncDisposable {
  readonly url: string;
  readonly #process: Deno.ChildProcess;

  private constructor(process: Deno.ChildProcess, url: string) {
    this.#process = process;
    this.url = url;
  }

  /** Starts a server and waits until it listens. */
  static async start(
    runsDir: string,
    device: Device,
    options: readonly string[] = [],
  ): Promise<Server> {
    const command = ["serve", "--port", "0", "--runs", runsDir, "--device", device, ...options];
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

  /** The number of its process. */
  get pid(): number {
    return this.#process.pid;
  }

  /** The status of a request. */
  async status(path: string, init: RequestInit = {}): Promise<number> {
    const response = await fetch(`${this.url}${path}`, init);
    await response.arrayBuffer();
    return response.status;
  }

  /** Whether a text was classified. */
  async predict(text: string, model = BENCH_MODEL): Promise<boolean> {
    const body = JSON.stringify({ model, inputs: [text] });
    return await this.status("/v1/predict", { method: "POST", body }) === 200;
  }

  /** Starts a run that takes hours, and waits for its first step. */
  async startTraining(): Promise<void> {
    const body = JSON.stringify({ dataset: "sample", model: "scratch:mini", epochs: 1000 });
    const run = await (await fetch(`${this.url}/v1/runs`, { method: "POST", body })).json();
    const events = await fetch(`${this.url}/v1/runs/${run.id}/events`);
    let seen = "";
    for await (const text of events.body!.pipeThrough(new TextDecoderStream())) {
      seen += text;
      if (seen.includes("event: step")) return;
    }
    throw new Error(`The run came to an end: ${seen}`);
  }

  /** The sum of a metric's samples. */
  async metrics(): Promise<(name: string) => number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
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

/** Reads a pipe to its end, as an unread one would stop the server. */
async function readOn(lines: ReadableStreamDefaultReader<string>): Promise<void> {
  while (!(await lines.read()).done);
}

/** Writes the folder of a finished run with random weights; returns its vocabulary. */
export async function writeModel(
  runsDir: string,
  size: keyof typeof BENCH_SIZES,
): Promise<string[]> {
  const dir = join(runsDir, BENCH_MODEL);
  const config = benchConfig(size);
  const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  const words = Array.from({ length: config.vocab_size - special.length }, (_, i) => `w${i}`);
  const tokenizer = Tokenizer.fromVocabulary([...special, ...words], {
    modelMaxLength: familyOf(config).positions(config).count,
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

/** Writes finished runs `adapter-0` and so on, adapters by default settings with random values. */
export async function writeAdapters(
  runsDir: string,
  count: number,
  mode: AdapterMode = "prefix",
): Promise<void> {
  if (count === 0) return;
  const baseDir = join(runsDir, BENCH_MODEL);
  const config = await readConfig(baseDir);
  const settings = TrainSettings.parse({ mode, model: baseDir });
  const method = tunerOf(settings.mode).method!;
  const peft = method.configOf(settings, config);
  const random = new Random(3);
  const values = (length: number) =>
    Float32Array.from({ length }, () => random.normal() * config.initializer_range);
  const base = await baseOf(baseDir);
  const tokenizer = await Tokenizer.load(baseDir);
  for (let i = 0; i < count; i++) {
    const dir = join(runsDir, `adapter-${i}`);
    const weights = {
      ...await method.initialWeights(peft, { config, weights: {} }, { ...settings, seed: i }),
      ...Object.fromEntries(
        headParameters(config).map(({ name, shape }) => [name, values(elementCount(shape))]),
      ),
    };
    await saveAdapter(dir, { base, peft, config, weights, tokenizer, maxLength: 128 });
    await Deno.writeTextFile(join(dir, METRICS_FILE), "{}");
  }
}

/** A source of texts with `length` tokens, `[CLS]` and `[SEP]` included. */
export function randomTexts(words: readonly string[], length: number): () => string {
  const random = new Random(1);
  return () =>
    Array.from({ length: length - 2 }, () => words[random.integer(words.length)]!).join(" ");
}
