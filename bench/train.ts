/**
 * The time of a training step by mode, and the share of the device's rate of matrix products that
 * it reaches.
 *
 * @module
 */
import { bert, BertConfig } from "../models/families/bert.ts";
import { labelsOf, type ModelConfig } from "../models/formats/config.ts";
import { type Mode, tunerOf } from "../models/tuners/tuner.ts";
import { frozenBase } from "../models/parameters.ts";
import { initialWeights } from "../models/weights.ts";
import type { Device } from "../onnx/runtime/device.ts";
import type {
  Executor,
  InferenceSession,
  ParameterValues,
  Tensors,
  TimedStepResult,
  TrainingGraphs,
  TrainingOptions,
} from "../onnx/runtime/executor.ts";
import { chunks } from "../data/batches.ts";
import { Graph, type TensorData } from "../onnx/graph/graph.ts";
import { matMul, reduceSum } from "../onnx/graph/operators.ts";
import { encodeModel } from "../onnx/graph/proto.ts";
import { Random } from "../lib/random.ts";
import { trainingGraphs } from "../training/graphs.ts";
import { optimizerOf } from "../training/optimizer.ts";
import { TrainSettings } from "../training/settings.ts";
import { planParts } from "../training/parts.ts";
import type { Machine } from "./machine.ts";
import { PeakMemory } from "./peak_memory.ts";

/** The models that are timed: scratch:tiny, all-MiniLM-L6-v2 and BERT-base with six classes. */
export const BENCH_SIZES = {
  tiny: { layers: 2, hidden: 128, heads: 2, words: 8000 },
  minilm: { layers: 6, hidden: 384, heads: 12, words: 30_522 },
  base: { layers: 12, hidden: 768, heads: 12, words: 28_996 },
} as const;

/** The most tokens of a text; the models have further positions for virtual tokens. */
export const MAX_LENGTH = 512;

/** Settings of {@link benchTrain}. */
export interface TrainBenchOptions {
  mode: Mode;
  size: keyof typeof BENCH_SIZES;
  batchSize: number;
  /** Tokens of each text. */
  length: number;
  /** As in `train`. */
  gradientCheckpointing?: boolean;
  /** The probability everywhere; by default BERT's. */
  dropout?: number;
  /** The number of timed steps. */
  steps: number;
}

/** The result of {@link benchTrain}; times are medians. */
export interface TrainBenchResult {
  device: Device;
  mode: Mode;
  size: string;
  batch_size: number;
  length: number;
  step_ms: number;
  forward_backward_ms: number;
  optimizer_ms: number;
  tokens_per_second: number;
  /** The parts of a step, split to save memory. */
  parts: number;
  /** The peak resident memory of this process. */
  peak_resident_bytes: number;
  /** The operations of a step's matrix products per time of forward and backward, in 10⁹/s. */
  gflops: number;
  /** The same for matrix products alone, of the size of the model's feed-forward layers. */
  matmul_gflops: number;
  matmul_share: number;
  /** The rate of the whole step, if every weight is trained. */
  whole_step?: WholeStepRate;
}

/** A step's nominal work per time, the optimizer's included. */
interface WholeStepRate {
  /** {@link nominalStepFlops} per time of the step, in 10⁹/s. */
  gflops: number;
  /** The rate of matrix products alone, 512 rows by 768 x 3,072 for every model. */
  product_gflops: number;
  share: number;
}

/** The results, and the machine. */
export interface TrainBench {
  machine: Machine;
  versions: { deno: string; onnxruntime: string };
  results: TrainBenchResult[];
}

/** The result of {@link benchTraining}. */
interface BenchTraining {
  config: BertConfig;
  graphs: TrainingGraphs;
  weights: ParameterValues;
  options: TrainingOptions;
  /** A batch, in the parts that training would use. */
  parts: Tensors[];
}

/** As `train` has by default. */
export const OPTIMIZER: TrainingOptions["optimizer"] = optimizerOf(TrainSettings.parse({}));

const WARM_UP_STEPS = 2;
/** As `train` has by default. */
const VIRTUAL_TOKENS = 16;
/**
 * Pairs of products in the first of two graphs that measure their rate: the extra time of the
 * second is that of products alone, without moving the inputs to the device.
 */
const FEW_PAIRS = 2;
/** Extra pairs of the second graph: `least`, for small products up to `most` to reach `flops`. */
const MORE_PAIRS = { least: 8, most: 48, flops: 4e9 };
const PRODUCT_RUNS = 10;
/** Once products took this long together, three runs of them are enough. */
const PRODUCTS_MS = 2000;

/** Times steps of training, with dropout, on random weights and texts. */
export async function benchTrain(
  executor: Executor,
  { mode, size, batchSize, length, gradientCheckpointing = false, steps }: TrainBenchOptions,
): Promise<TrainBenchResult> {
  using memory = new PeakMemory();
  const { config, graphs, weights, options, parts } = await benchTraining(
    { mode, size, batchSize, length, gradientCheckpointing },
    executor.choice.device,
  );
  const session = await executor.loadTrainingSession(graphs, weights, options);
  const rate = 1e-4;
  for (let step = 1; step <= WARM_UP_STEPS; step++) await session.step(parts, step, rate);

  // As in training. A GPU reports several steps at once when they have ended.
  const stepTimes: number[] = [];
  let started = performance.now();
  for (let step = WARM_UP_STEPS + 1; step <= WARM_UP_STEPS + steps; step++) {
    const known = await session.submit(parts, step, rate);
    if (step === WARM_UP_STEPS + steps) known.push(...await session.results());
    if (known.length === 0) continue;
    const now = performance.now();
    stepTimes.push(...known.map(() => (now - started) / known.length));
    started = now;
  }
  const timed: TimedStepResult[] = [];
  for (let i = 1; i <= steps; i++) {
    timed.push(await session.step(parts, WARM_UP_STEPS + steps + i, rate));
  }
  await session.release();
  const peakBytes = memory.bytes;

  const forwardBackwardMs = median(timed.map(({ forwardBackwardMs }) => forwardBackwardMs));
  const stepMs = median(stepTimes);
  const gflops = stepFlops(config, mode, batchSize, length) / forwardBackwardMs / 1e6;
  const matmulGflops = await matrixProductGflops(executor, config, batchSize * length);
  const wholeStep = mode === "full" && {
    whole_step: await wholeStepRate(executor, nominalStepFlops(config, batchSize * length), stepMs),
  };
  return {
    device: executor.choice.device,
    mode,
    size,
    batch_size: batchSize,
    length,
    step_ms: stepMs,
    forward_backward_ms: forwardBackwardMs,
    optimizer_ms: median(timed.map(({ optimizerMs }) => optimizerMs)),
    tokens_per_second: batchSize * length / stepMs * 1000,
    parts: parts.length,
    peak_resident_bytes: peakBytes,
    gflops,
    matmul_gflops: matmulGflops,
    matmul_share: gflops / matmulGflops,
    ...wholeStep,
  };
}

async function wholeStepRate(
  executor: Executor,
  flops: number,
  stepMs: number,
): Promise<WholeStepRate> {
  const gflops = flops / stepMs / 1e6;
  const productGflops = await referenceProductGflops(executor);
  return { gflops, product_gflops: productGflops, share: gflops / productGflops };
}

/** The inputs of a measured training session: random weights and texts, with dropout. */
export async function benchTraining(
  { mode, size, batchSize, length, gradientCheckpointing = false, dropout }: Omit<
    TrainBenchOptions,
    "steps"
  >,
  device: Device,
): Promise<BenchTraining> {
  const published = benchConfig(size);
  const config = dropout === undefined ? published : bert.withDropout(published, dropout);
  const base = initialWeights(config, 1);
  const settings = TrainSettings.parse({ mode, prefixLength: VIRTUAL_TOKENS });
  const { method } = tunerOf(mode);
  const peft = method?.configOf(settings, config);
  const added = peft && await method!.initialWeights(peft, { config, weights: base }, settings);
  const graphs = trainingGraphs(config, peft && frozenBase(config), peft, gradientCheckpointing);
  const { largest, textsOf } = await planParts({
    device,
    lifetimes: graphs.lifetimes,
    dimensions: (batch, length) => ({ batch, length }),
    lengths: [length],
    batchSize,
    stepMemory: undefined,
    gradientCheckpointing,
  });
  const rows = Array.from({ length: batchSize }, (_, row) => row);
  const batch = randomBatch(config, batchSize, length);
  return {
    config,
    graphs,
    weights: { ...base, ...added },
    options: {
      optimizer: OPTIMIZER,
      dropoutSeed: 1,
      largestDimensions: largest,
    },
    parts: chunks(rows, textsOf(length)).map((part) => rowsOf(batch, part)),
  };
}

/** Consecutive rows of a batch. */
function rowsOf(batch: Tensors, rows: readonly number[]): Tensors {
  const [first, count] = [rows[0]!, rows.length];
  return Object.fromEntries(
    Object.entries(batch).map(([name, { type, shape, data }]): [string, TensorData] => {
      const width = data.length / shape[0]!;
      const part = data.slice(first * width, (first + count) * width);
      return [name, { type, shape: shape.with(0, count), data: part }];
    }),
  );
}

/** The configuration of a timed model. */
export function benchConfig(size: keyof typeof BENCH_SIZES): BertConfig {
  const { layers, hidden, heads, words } = BENCH_SIZES[size];
  return BertConfig.parse({
    model_type: "bert",
    vocab_size: words,
    hidden_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    intermediate_size: 4 * hidden,
    max_position_embeddings: MAX_LENGTH + VIRTUAL_TOKENS,
    id2label: Object.fromEntries(Array.from({ length: 6 }, (_, i) => [i, `class ${i}`])),
  });
}

/** Texts of random words, without padding. */
function randomBatch(config: ModelConfig, batchSize: number, length: number): Tensors {
  const random = new Random(1);
  const labelCount = labelsOf(config).length;
  const integers = (value: () => number): TensorData => ({
    type: "int64",
    shape: [batchSize, length],
    data: BigInt64Array.from({ length: batchSize * length }, () => BigInt(value())),
  });
  const floats = (shape: number[], value: (i: number) => number): TensorData => ({
    type: "float32",
    shape,
    data: Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => value(i)),
  });
  return {
    input_ids: integers(() => random.integer(config.vocab_size)),
    attention_mask: integers(() => 1),
    token_type_ids: integers(() => 0),
    labels: floats([batchSize, labelCount], (i) => Number(i % labelCount === 0)),
    example_weights: floats([batchSize], () => 1 / batchSize),
  };
}

/**
 * The operations of a step's matrix products. The backward pass has two products for each of the
 * forward pass, or one if the weight is frozen, and with a prefix none for the first layer's
 * queries, keys and values. Beyond keys and values the last layer computes only the first token.
 */
function stepFlops(config: BertConfig, mode: Mode, batchSize: number, length: number): number {
  const { hidden_size: hidden, intermediate_size: inner, num_hidden_layers: layers } = config;
  const product = (rows: number, from: number, to: number) => 2 * rows * from * to;
  const keys = length + (mode === "prefix" || mode === "prompt" ? VIRTUAL_TOKENS : 0);
  const tokens = batchSize * (mode === "prefix" ? length : keys);
  const weighted = (queries: number) =>
    2 * product(tokens, hidden, hidden) + // keys and values
    2 * product(queries, hidden, hidden) + // queries and output
    2 * product(queries, hidden, inner); // feed-forward
  const attention = (queries: number) => 2 * product(queries, keys, hidden); // scores and context
  const allWeighted = (layers - 1) * weighted(tokens) + weighted(batchSize) +
    product(batchSize, hidden, hidden);
  const allAttention = (layers - 1) * attention(tokens) + attention(batchSize);
  switch (mode) {
    case "full":
      return 3 * (allWeighted + allAttention);
    case "prompt":
      return 2 * allWeighted + 3 * allAttention;
    // LoRA's own products are small; the gradient passes all layers down to the first it changes.
    case "lora":
      return 2 * allWeighted + 3 * allAttention;
    case "prefix":
      return 2 * allWeighted + 3 * allAttention - 3 * product(tokens, hidden, hidden) -
        product(tokens, keys, hidden);
  }
}

/**
 * The usual estimate of a step's work if every weight is trained: the products with the weights of
 * all layers, one forward and two backward for each token. Savings in the last layer and the extra
 * work of attention do not count.
 */
export function nominalStepFlops(config: BertConfig, tokens: number): number {
  const { num_hidden_layers: layers, hidden_size: hidden, intermediate_size: inner } = config;
  return 6 * layers * (4 * hidden ** 2 + 2 * hidden * inner) * tokens;
}

/** The rate that steps of all sizes are compared with: 512 rows with BERT-base's weights. */
export function referenceProductGflops(executor: Executor): Promise<number> {
  return matrixProductGflops(executor, benchConfig("base"), 512);
}

/**
 * The rate of matrix products alone: of rows with the weights of a model's feed-forward layers, up
 * and down.
 */
async function matrixProductGflops(
  executor: Executor,
  { hidden_size: hidden, intermediate_size: inner }: BertConfig,
  tokens: number,
): Promise<number> {
  const filled = (shape: number[]): TensorData => ({
    type: "float32",
    shape,
    data: new Float32Array(shape[0]! * shape[1]!).fill(1 / inner),
  });
  const feeds = {
    x: filled([tokens, hidden]),
    up: filled([hidden, inner]),
    down: filled([inner, hidden]),
  };
  const pairFlops = 2 * 2 * tokens * hidden * inner;
  const { least, most, flops } = MORE_PAIRS;
  const more = Math.min(most, Math.max(least, Math.ceil(flops / pairFlops)));
  const fewMs = await productsMs(executor, FEW_PAIRS, feeds);
  const manyMs = await productsMs(executor, FEW_PAIRS + more, feeds);
  return more * pairFlops / (manyMs - fewMs) / 1e6;
}

/**
 * The time of pairs of products, moving the inputs included. Only one graph is loaded at a time, as
 * the threads of another would keep waiting for work.
 */
async function productsMs(executor: Executor, pairs: number, feeds: Tensors): Promise<number> {
  const session = await productSession(executor, pairs);
  const times: number[] = [];
  for (let run = 0; run < WARM_UP_STEPS + PRODUCT_RUNS; run++) {
    const started = performance.now();
    await session.run(feeds);
    if (run >= WARM_UP_STEPS) times.push(performance.now() - started);
    const totalMs = times.reduce((sum, time) => sum + time, 0);
    if (times.length >= 3 && totalMs > PRODUCTS_MS) break;
  }
  await session.release();
  return median(times);
}

/** A graph that takes `x [rows, a]`, `up [a, b]` and `down [b, a]`, and multiplies in turn. */
async function productSession(executor: Executor, pairs: number): Promise<InferenceSession> {
  const graph = new Graph();
  const up = graph.input("up", "float32", ["a", "b"]);
  const down = graph.input("down", "float32", ["b", "a"]);
  let x = graph.input("x", "float32", ["rows", "a"]);
  for (let i = 0; i < pairs; i++) x = matMul(matMul(x, up), down);
  graph.output("sum", reduceSum(x, [0, 1]));
  return await executor.loadSession(encodeModel(graph));
}

/** The median. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
