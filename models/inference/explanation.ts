/**
 * The amount that each word of a text adds to a class's score: the gradient of the logit with
 * respect to the word's embedding, times that embedding (Shrikumar et al., 2016). Special tokens
 * are left out.
 *
 * @module
 */
import { collate } from "../../data/batches.ts";
import type { Executor, InferenceSession, Tensors } from "../../onnx/runtime/executor.ts";
import { gradient } from "../../onnx/graph/gradient.ts";
import { Graph, type Tensor } from "../../onnx/graph/graph.ts";
import { gather, mul, reduceSum } from "../../onnx/graph/operators.ts";
import { encodeModel } from "../../onnx/graph/proto.ts";
import { wordEmbeddings } from "../family.ts";
import { isAdapter, readAdapter, withBase } from "../formats/adapter.ts";
import { loadClassifier } from "../formats/classifier_folder.ts";
import { labelsOf, type ModelConfig } from "../formats/config.ts";
import { classifierLogits } from "../heads/classifier.ts";
import type { ParameterSource } from "../layers.ts";
import { type TokenizedText, tokenizedText, type Word } from "../text/words.ts";
import { TRUNCATE } from "../text/long_texts.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { type PeftConfig, tuned } from "../tuners/tuner.ts";
import type { Weights } from "../weights.ts";
import { argMax } from "./inference.ts";

/** A word of a text, and the amount that it adds. */
export interface WordShare {
  word: string;
  /** The place of the word in the text, in UTF-16 units. */
  start: number;
  /** The amount that the word adds to the logit, by a linear estimate. */
  contribution: number;
  /** The contribution as a share of all that words add or take away, from -1 to 1. */
  share: number;
}

/** The reason why a text gets a class. */
export interface Explanation {
  label: string;
  words: WordShare[];
  /** Whether the text is longer than the model reads at once: only its beginning is explained. */
  truncated: boolean;
}

/**
 * The model that computes explanations, as a serialised ModelProto. Beside the inputs of a
 * classifier it takes `chosen`, float32 `[batch, labels]`, 1 at the class whose logit is explained;
 * it gives `logits` and `contributions`, float32 `[batch, length]`.
 *
 * @param peft The parameters that were tuned beside the base, if it is not a whole model; their
 * values are among the weights.
 */
export function explanationModel(
  config: ModelConfig,
  weights: Weights,
  peft?: PeftConfig,
): Uint8Array {
  const graph = new Graph();
  let table: Tensor | undefined;
  const parameter: ParameterSource = (name, shape) => {
    const tensor = graph.initializer(name, { type: "float32", shape, data: weights[name]! });
    if (name === wordEmbeddings(config)) table ??= tensor;
    return tensor;
  };
  const logits = classifierLogits(graph, tuned({ config, parameter }, peft));
  const chosen = graph.input("chosen", "float32", logits.shape);
  const [slices] = gradient(reduceSum(mul(logits, chosen), [0, 1]), [table!]);
  if (slices === undefined || "name" in slices) {
    throw new RangeError("Cannot explain a model that reads its word embeddings as a whole");
  }
  const embedded = gather(table!, slices.indices);
  graph.output("logits", logits);
  graph.output("contributions", reduceSum(mul(slices.values, embedded), [2]));
  return encodeModel(graph);
}

/** A classifier that explains its answers. */
export class Explainer {
  readonly #config: ModelConfig;
  readonly #tokenizer: Tokenizer;
  readonly #session: InferenceSession;
  /** The names of the classes in the order of the logits. */
  readonly labels: readonly string[];

  private constructor(config: ModelConfig, tokenizer: Tokenizer, session: InferenceSession) {
    this.#config = config;
    this.#tokenizer = tokenizer;
    this.#session = session;
    this.labels = labelsOf(config);
  }

  /**
   * Loads the classifier of a folder, or an adapter with its base.
   *
   * @throws {UserError} If the folder holds no model that can be used.
   */
  static async load(executor: Executor, dir: string): Promise<Explainer> {
    const { config, tokenizer, weights, peft } = await isAdapter(dir)
      ? await withBase(await readAdapter(dir))
      : { ...await loadClassifier(dir), peft: undefined };
    const session = await executor.loadSession(explanationModel(config, weights, peft));
    // Words are explained from the beginning, however the model treats long texts.
    return new Explainer(config, tokenizer.withLongTexts(TRUNCATE), session);
  }

  /**
   * Explains how much each word of a text adds to a class.
   *
   * @param text The text, or the result of {@link tokenizedText} for it.
   * @param label The class; by default the one with the highest score.
   * @throws {RangeError} If the model has no such class.
   */
  async explain(text: string | TokenizedText, label?: string): Promise<Explanation> {
    const { ids, words, truncated } = typeof text === "string"
      ? tokenizedText(this.#tokenizer, text)
      : text;
    const inputs = collate([ids], this.#config.pad_token_id);
    const chosenIndex = label === undefined
      ? argMax((await this.#run(inputs, -1)).logits)
      : this.labels.indexOf(label);
    if (chosenIndex < 0) {
      throw new RangeError(`Cannot explain '${label}': the model has no such class`);
    }
    const { contributions } = await this.#run(inputs, chosenIndex);
    return {
      label: this.labels[chosenIndex]!,
      words: wordShares(words, contributions),
      truncated,
    };
  }

  /** Frees the model's memory. */
  release(): Promise<void> {
    return this.#session.release();
  }

  async #run(inputs: Tensors, label: number) {
    const data = Float32Array.from(this.labels, (_, index) => Number(index === label));
    const chosen = { type: "float32" as const, shape: [1, this.labels.length], data };
    const { logits, contributions } = await this.#session.run({ ...inputs, chosen });
    return {
      logits: logits!.data as Float32Array,
      contributions: contributions!.data as Float32Array,
    };
  }
}

/** The contributions of a text's tokens, added up by word; a word that was cut away adds nothing. */
function wordShares(words: readonly Word[], contributions: ArrayLike<number>): WordShare[] {
  const added = words.map(({ word, start, firstToken, endToken }) => {
    let contribution = 0;
    for (let i = firstToken; i < endToken; i++) contribution += contributions[i]!;
    return { word, start, contribution };
  });
  const all = added.reduce((sum, { contribution }) => sum + Math.abs(contribution), 0);
  return added.map((word) => ({ ...word, share: all === 0 ? 0 : word.contribution / all }));
}
