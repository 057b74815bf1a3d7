/**
 * A trained classifier that is loaded and answers.
 *
 * @module
 */
import type { ProblemType } from "../data/labels.ts";
import type { Executor, InferenceSession } from "../onnx/executor.ts";
import { loadForInference } from "./classifier.ts";
import { type BertConfig, problemOf } from "./config.ts";
import { logitsOf, scoresOf } from "./inference.ts";
import type { BertTokenizer } from "./tokenizer.ts";

/** A class and how probable it is, or the output of a regression and its value. */
export interface LabelScore {
  label: string;
  score: number;
}

/** Classifies texts with a trained model. */
export class TextClassifier {
  /** What the scores mean. */
  readonly problemType: ProblemType;
  /** The names of the classes in the order of the logits. */
  readonly labels: readonly string[];
  readonly #config: BertConfig;
  readonly #tokenizer: BertTokenizer;
  readonly #session: InferenceSession;

  private constructor(config: BertConfig, tokenizer: BertTokenizer, session: InferenceSession) {
    ({ problemType: this.problemType, labels: this.labels } = problemOf(config));
    this.#config = config;
    this.#tokenizer = tokenizer;
    this.#session = session;
  }

  /**
   * Loads the model of a folder.
   *
   * @throws {UserError} If the folder holds no model that can be used.
   */
  static async load(executor: Executor, dir: string): Promise<TextClassifier> {
    const { config, tokenizer, model } = await loadForInference(dir);
    return new TextClassifier(config, tokenizer, await executor.loadSession(model));
  }

  /** The scores of each text, in the order of {@link labels}. */
  async scores(texts: readonly string[]): Promise<number[][]> {
    const encoded = texts.map((text) => this.#tokenizer.encode(text).ids);
    const logits = await logitsOf(this.#session, encoded, this.#config.pad_token_id);
    return logits.map((row) => scoresOf(row, this.problemType));
  }

  /** The classes of each text with their scores, the highest first. */
  async classify(texts: readonly string[]): Promise<LabelScore[][]> {
    return (await this.scores(texts)).map((row) => labelScores(row, this.labels));
  }

  /** Frees the model's memory. */
  release(): Promise<void> {
    return this.#session.release();
  }
}

/** Scores with their labels, the highest first. */
export function labelScores(scores: readonly number[], labels: readonly string[]): LabelScore[] {
  return scores.map((score, index) => ({ label: labels[index]!, score }))
    .sort((a, b) => b.score - a.score);
}
