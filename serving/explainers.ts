/**
 * Models that explain answers, loaded beside those that give them.
 *
 * @module
 */
import { messageOf } from "../lib/format.ts";
import { SerialQueue } from "../lib/serial_queue.ts";
import { Explainer, type Explanation } from "../models/inference/explanation.ts";
import type { Executor } from "../onnx/runtime/executor.ts";
import { type LongTexts, SlowTextError } from "./long_texts.ts";
import type { ModelCache } from "./model_cache.ts";
import type { ModelVersion } from "./model_reference.ts";
import { InferenceError } from "./predictor.ts";

/** The time without requests after which a model is unloaded. */
const IDLE_MS = 60_000;
/**
 * The characters from which a text is cut into tokens in another thread: a text twice as long takes
 * four times the time, as the tokens of all its beginnings are counted.
 */
const MAX_LENGTH_HERE = 500;

interface Loaded {
  version: ModelVersion;
  executor: Executor;
  explainer: Explainer;
}

/** Explains answers, one after another; one model is in memory at a time, with float32 weights. */
export class Explainers {
  readonly #cache: ModelCache;
  readonly #longTexts: LongTexts;
  readonly #queue = new SerialQueue();
  #loaded: Loaded | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param cache The cache whose executor is used.
   * @param longTexts Cuts texts into tokens away from this thread.
   */
  constructor(cache: ModelCache, longTexts: LongTexts) {
    this.#cache = cache;
    this.#longTexts = longTexts;
  }

  /**
   * Explains how much each word of a text adds to a class.
   *
   * @param label The class; by default the one with the highest score.
   * @throws {InferenceError} If the model cannot be loaded or run.
   * @throws {RangeError} If the model has no such class.
   * @throws {SlowTextError} If the text takes too long to be cut into tokens.
   */
  explain(version: ModelVersion, text: string, label?: string): Promise<Explanation> {
    return this.#queue.run(async () => {
      clearTimeout(this.#timer);
      try {
        const explainer = await this.#load(version);
        const tokenized = text.length < MAX_LENGTH_HERE
          ? text
          : await this.#longTexts.tokenize(version, text);
        return await explainer.explain(tokenized, label);
      } catch (error) {
        if (error instanceof RangeError || error instanceof SlowTextError) throw error;
        const reason = messageOf(error);
        throw new InferenceError(`Cannot explain an answer of '${version.name}': ${reason}`, {
          cause: error,
        });
      } finally {
        this.#timer = setTimeout(() => void this.#queue.run(() => this.#unload()), IDLE_MS).unref();
      }
    });
  }

  async #load(version: ModelVersion): Promise<Explainer> {
    const executor = await this.#cache.executor();
    const { dir, finishedAt } = version;
    const loaded = this.#loaded;
    const isThere = loaded !== undefined && loaded.executor === executor &&
      loaded.version.dir === dir && loaded.version.finishedAt.getTime() === finishedAt.getTime();
    if (isThere) return loaded.explainer;
    await this.#unload();
    const explainer = await Explainer.load(executor, dir);
    this.#loaded = { version, executor, explainer };
    return explainer;
  }

  async #unload(): Promise<void> {
    const loaded = this.#loaded;
    this.#loaded = undefined;
    // A model whose executor has ended holds no memory.
    if (loaded?.executor.ended === false) await loaded.explainer.release();
  }
}
