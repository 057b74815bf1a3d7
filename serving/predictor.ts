/**
 * Computes the scores of texts, each of which may name a model of its own.
 *
 * @module
 */
import type { ProblemType } from "../data/labels.ts";
import { messageOf } from "../lib/format.ts";
import { type Classifier, describeClassifier } from "../models/formats/classifier_folder.ts";
import { byText, joinLogits, scoresOf } from "../models/inference/inference.ts";
import { type LabelScore, labelScores } from "../models/inference/text_classifier.ts";
import type { Encoding } from "../models/text/tokenizer.ts";
import { ExecutorBusyError } from "../onnx/runtime/executor.ts";
import { type BatchedLogits, Batcher } from "./batcher.ts";
import { isLong, LongTexts, SlowTextError } from "./long_texts.ts";
import type { Metrics } from "./server_metrics.ts";
import { type BorrowedModel, type ModelCache, NoRoomError } from "./model_cache.ts";
import type { ServedModel } from "./served_model.ts";
import { type ModelVersion, UnknownModelError } from "./model_reference.ts";
import type { ModelRegistry } from "./model_registry.ts";

/** The functions that turn logits into scores, under transformers' names. */
export const SCORE_FUNCTIONS = ["sigmoid", "softmax", "none"] as const;

/** One of {@link SCORE_FUNCTIONS}. */
export type ScoreFunction = (typeof SCORE_FUNCTIONS)[number];

/** The time after which the encoding of texts lets other requests go first. */
const ENCODING_SLICE_MS = 10;

/** A text to classify. */
export interface PredictInput {
  text: string;
  /** The second text of a pair. */
  pair?: string | undefined;
  /** The model, as `ModelRegistry.resolve` takes it. */
  model?: string | undefined;
}

/** Options of {@link Predictor.predict}. */
export interface PredictOptions {
  /** Whether a text that is too long loses its end; otherwise it is refused. */
  truncate?: boolean | undefined;
  /** The function for the scores; by default the one that suits the model's kind of problem. */
  scoreFunction?: ScoreFunction | undefined;
  /** Requests with the same key get the same version of an alias that divides them. */
  key?: string | undefined;
  /** Aborts when nobody waits any more. */
  signal?: AbortSignal | undefined;
}

/** The answer to a text. */
export interface PredictedRow {
  model: ModelVersion;
  /** The model's classes in the order of its logits. */
  labels: readonly string[];
  /** The scores of all classes, the highest first. */
  scores: LabelScore[];
}

/** The time and tokens of a request. */
export interface PredictTiming {
  totalMs: number;
  tokenizationMs: number;
  queueMs: number;
  inferenceMs: number;
  /** The number of tokens, without padding. */
  tokens: number;
  characters: number;
}

/** The result of {@link Predictor.predict}, in the order of the texts. */
export interface Predictions {
  rows: PredictedRow[];
  /** The kind of device that computed them. */
  computeType: "cpu" | "gpu";
  timing: PredictTiming;
}

/** A text that cannot be classified, by its place in the request. */
export class InputError extends Error {
  override name = "InputError";
  /** The index of the text, from 0. */
  readonly index: number;
  /** The part of the input at fault. */
  readonly field: "text" | "model";

  constructor(index: number, field: InputError["field"], message: string) {
    super(message);
    this.index = index;
    this.field = field;
  }
}

/** A text has more tokens than its model takes. */
export class TextTooLongError extends InputError {
  override name = "TextTooLongError";
}

/** The model could not be loaded or run; the cause says why. */
export class InferenceError extends Error {
  override name = "InferenceError";
}

/** The rows of one model, by their places in the request. */
interface ModelRows {
  version: ModelVersion;
  indices: number[];
}

/** Classifies texts of many requests, in shared batches. */
export class Predictor implements Disposable {
  readonly #registry: ModelRegistry;
  readonly #cache: ModelCache;
  readonly #batcher: Batcher;
  readonly #metrics: Metrics;
  /** Cuts long texts into tokens. */
  readonly longTexts = new LongTexts();

  constructor(
    registry: ModelRegistry,
    cache: ModelCache,
    metrics: Metrics,
    maxBatchTokens?: number,
  ) {
    this.#registry = registry;
    this.#cache = cache;
    this.#metrics = metrics;
    this.#batcher = new Batcher({ maxBatchTokens, onBatch: (report) => metrics.batch(report) });
    metrics.gauge(
      "graft_queue_rows",
      "Texts that wait for the device",
      () => this.#batcher.queueLength,
    );
    metrics.gauge("graft_loaded_models", "Models in memory", () => cache.loaded.length);
  }

  /**
   * Classifies texts.
   *
   * @throws The signal's reason, if it aborts.
   * @throws {InputError} If a text names no model, or is too long for its model.
   * @throws {NoRoomError} If a model cannot be loaded beside those in use.
   * @throws {InferenceError} If a model cannot be loaded or run.
   */
  async predict(
    inputs: readonly PredictInput[],
    options: PredictOptions = {},
  ): Promise<Predictions> {
    const { signal } = options;
    if (signal === undefined) return await this.#predict(inputs, options);
    signal.throwIfAborted();
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    try {
      // Some work cannot be stopped, such as loading a model that others also wait for.
      return await Promise.race([this.#predict(inputs, options), aborted]);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** Ends the Worker that it has started. */
  [Symbol.dispose](): void {
    this.longTexts[Symbol.dispose]();
  }

  async #predict(inputs: readonly PredictInput[], options: PredictOptions): Promise<Predictions> {
    const startedAt = performance.now();
    const parts = await this.#byModel(inputs, options.key);
    const results = await Promise.all(
      parts.map((part) => this.#measured(part, this.#predictPart(part, inputs, options))),
    );
    const rows = new Array<PredictedRow>(inputs.length);
    for (const [i, { version, indices }] of parts.entries()) {
      for (const [j, index] of indices.entries()) {
        const { labels, scores } = results[i]!;
        rows[index] = { model: version, labels, scores: scores[j]! };
      }
    }
    const sum = (part: "tokenizationMs" | "tokens") =>
      results.reduce((total, result) => total + result[part], 0);
    const most = (part: "queueMs" | "inferenceMs") =>
      Math.max(...results.map((result) => result[part]));
    const timing = {
      totalMs: performance.now() - startedAt,
      tokenizationMs: sum("tokenizationMs"),
      queueMs: most("queueMs"),
      inferenceMs: most("inferenceMs"),
      tokens: sum("tokens"),
      characters: inputs.reduce((n, { text, pair = "" }) => n + text.length + pair.length, 0),
    };
    this.#metrics.stages(timing.tokenizationMs, timing.queueMs);
    const { choice } = await this.#cache.executor();
    return { rows, computeType: choice.device === "webgpu" ? "gpu" : "cpu", timing };
  }

  /** Counts and times the work on rows of one model. */
  async #measured<Result>(
    { version: { name, version }, indices }: ModelRows,
    work: Promise<Result>,
  ) {
    const startedAt = performance.now();
    try {
      const result = await work;
      this.#metrics.prediction(name, version, indices.length, performance.now() - startedAt);
      return result;
    } catch (error) {
      if (error instanceof InferenceError || error instanceof NoRoomError) {
        this.#metrics.predictionFailure(name, version, indices.length);
      }
      throw error;
    }
  }

  async #byModel(inputs: readonly PredictInput[], key?: string): Promise<ModelRows[]> {
    const versions = new Map<string | undefined, ModelVersion>();
    const parts = new Map<string, ModelRows>();
    for (const [index, { model }] of inputs.entries()) {
      const version = versions.get(model) ?? await this.#registry.resolve(model, key)
        .catch((error) => {
          if (!(error instanceof UnknownModelError)) throw error;
          throw new InputError(index, "model", error.message);
        });
      versions.set(model, version);
      const part = parts.get(version.dir) ?? { version, indices: [] };
      part.indices.push(index);
      parts.set(version.dir, part);
    }
    return [...parts.values()];
  }

  /** Tries again if another model's work has ended the executor. */
  async #predictPart(part: ModelRows, inputs: readonly PredictInput[], options: PredictOptions) {
    try {
      return await this.#tryPart(part, inputs, options);
    } catch (error) {
      const isInnocent = error instanceof InferenceError &&
        error.cause instanceof ExecutorBusyError;
      if (!isInnocent) throw error;
      return await this.#tryPart(part, inputs, options);
    }
  }

  async #tryPart(
    { version, indices }: ModelRows,
    inputs: readonly PredictInput[],
    { truncate = false, scoreFunction, signal }: PredictOptions,
  ) {
    using borrowed = await borrowModel(this.#cache, version);
    const { model } = borrowed;
    let tokenizationMs = 0;
    let sliceStartedAt = performance.now();
    const encoded: Encoding[][] = [];
    for (const index of indices) {
      signal?.throwIfAborted();
      const { text, pair } = inputs[index]!;
      const startedAt = performance.now();
      const rows = isLong(text, pair)
        ? model.rowsOf(await this.#encodeLong(version, model, index, inputs[index]!, signal))
        : model.encode(text, pair);
      tokenizationMs += performance.now() - startedAt;
      if (rows.some(({ truncated }) => truncated) && !truncate) {
        const rule = `has more than the ${model.maxLength} tokens that the model takes`;
        throw new TextTooLongError(index, "text", `${rule}; shorten it, or ask to truncate`);
      }
      encoded.push(rows);
      if (performance.now() - sliceStartedAt < ENCODING_SLICE_MS) continue;
      await new Promise((resolve) => setTimeout(resolve));
      sliceStartedAt = performance.now();
    }
    const { logits, queueMs, inferenceMs } = await this.#run(model, encoded.flat(), signal);
    const joined = byText(encoded, logits).map((rows) => joinLogits(rows, model.chunkJoin));
    const problemType = scoreFunction === undefined
      ? model.problemType
      : PROBLEM_TYPE_OF[scoreFunction];
    return {
      labels: model.labels,
      scores: scoresOfRows(joined, problemType, model.labels),
      tokenizationMs,
      queueMs,
      inferenceMs,
      tokens: encoded.flat().reduce((total, { ids }) => total + ids.length, 0),
    };
  }

  async #encodeLong(
    version: ModelVersion,
    { maxLength }: ServedModel,
    index: number,
    { text, pair }: PredictInput,
    signal: AbortSignal | undefined,
  ) {
    try {
      return await this.longTexts.encode(version, maxLength, text, pair, signal);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (error instanceof SlowTextError) throw new InputError(index, "text", error.message);
      throw inferenceError("Cannot encode the text", error);
    }
  }

  async #run(
    { group }: ServedModel,
    rows: readonly Encoding[],
    signal: AbortSignal | undefined,
  ): Promise<BatchedLogits> {
    try {
      return await this.#batcher.run(group, rows, signal);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw inferenceError("Cannot run the model", error);
    }
  }
}

/**
 * Borrows a model from the cache.
 *
 * @throws {NoRoomError} If it cannot be loaded beside those in use.
 * @throws {InferenceError} If it cannot be loaded for another reason.
 */
export async function borrowModel(
  cache: ModelCache,
  version: ModelVersion,
): Promise<BorrowedModel> {
  try {
    return await cache.borrow(version);
  } catch (error) {
    if (error instanceof NoRoomError) throw error;
    throw inferenceError(`Cannot load model '${version.name}'`, error);
  }
}

/**
 * The description of a model, which is not loaded for this.
 *
 * @throws {InferenceError} If it could not be loaded.
 */
export async function describeModel(
  { name, dir }: ModelVersion,
): Promise<Omit<Classifier, "weights">> {
  try {
    return await describeClassifier(dir);
  } catch (error) {
    throw inferenceError(`Cannot load model '${name}'`, error);
  }
}

/** The kind of problem for which a function is the default. */
const PROBLEM_TYPE_OF = {
  sigmoid: "multi_label_classification",
  softmax: "single_label_classification",
  none: "regression",
} as const;

function scoresOfRows(
  rows: readonly ArrayLike<number>[],
  problemType: ProblemType,
  labels: readonly string[],
): LabelScore[][] {
  try {
    return rows.map((row) => labelScores(scoresOf(row, problemType), labels));
  } catch (error) {
    throw inferenceError("Cannot run the model", error);
  }
}

function inferenceError(what: string, cause: unknown): InferenceError {
  const reason = messageOf(cause);
  return new InferenceError(`${what}: ${reason}`, { cause });
}
