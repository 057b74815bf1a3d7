/**
 * A trained classifier, loaded for inference.
 *
 * @module
 */
import type { ProblemType } from "../../data/labels.ts";
import { UserError } from "../../lib/user_error.ts";
import type { Executor, InferenceSession } from "../../onnx/runtime/executor.ts";
import { loadForInference } from "../formats/classifier_folder.ts";
import { calibrationOf, type ModelConfig, problemOf } from "../formats/config.ts";
import { uncalibrated } from "../heads/calibration.ts";
import {
  type BatchesOptions,
  batchLogits,
  byText,
  type EncodedText,
  encodeText,
  inBatches,
  joinLogits,
  scoresOf,
  withPartner,
} from "./inference.ts";
import type { ChunkJoin } from "../text/long_texts.ts";
import type { Encoding, TextLoss, TokenCounts, Tokenizer } from "../text/tokenizer.ts";
import { loadPartner, type PooledPartner } from "../partner/partner_file.ts";
import type { Dtype } from "../onnx_model.ts";

/** A class and its probability, or the output of a regression and its value. */
export interface LabelScore {
  /** The class. */
  label: string;
  /** Its probability, or the predicted number. */
  score: number;
}

/** Classifies texts with a trained model. */
export class TextClassifier {
  /** The meaning of the scores. */
  readonly problemType: ProblemType;
  /** The names of the classes in the order of the logits. */
  readonly labels: readonly string[];
  /** The lowest score at which each class counts as predicted, if the classes have their own. */
  readonly thresholds: readonly number[] | undefined;
  readonly #config: ModelConfig;
  readonly #tokenizer: Tokenizer;
  readonly #session: InferenceSession;
  readonly #partner: PooledPartner | undefined;

  private constructor(
    config: ModelConfig,
    tokenizer: Tokenizer,
    session: InferenceSession,
    partner: PooledPartner | undefined,
  ) {
    const { problemType, labels, thresholds } = problemOf(config);
    this.problemType = problemType;
    this.labels = labels;
    this.thresholds = thresholds;
    this.#config = config;
    this.#tokenizer = tokenizer;
    this.#session = session;
    this.#partner = partner;
  }

  /**
   * Loads the model of a folder.
   *
   * @param dtype The type of the weights.
   * @throws {UserError} If the folder holds no model that can be used.
   */
  static async load(
    executor: Executor,
    dir: string,
    dtype: Dtype = "fp32",
  ): Promise<TextClassifier> {
    const { config, tokenizer, model } = await loadForInference(dir, dtype);
    const session = await executor.loadSession(model).catch((error: unknown) => {
      // onnxruntime's own errors have no class of their own.
      if (!(error instanceof Error) || error.name !== "Error") throw error;
      const [reason] = error.message.split("\n");
      throw new UserError(`Cannot load the ONNX model of '${dir}': ${reason}`, { cause: error });
    });
    if (session.outputNames.includes("logits")) {
      const partner = await loadPartner(dir, problemOf(config).labels.length);
      return new TextClassifier(config, tokenizer, session, partner);
    }
    await session.release();
    throw new UserError(
      `Cannot classify with '${dir}': its ONNX model gives '${session.outputNames.join("', '")}' ` +
        "and no 'logits', as classifiers do; train one on it: deno task train --model " + dir,
    );
  }

  /** The most tokens that a text may have. */
  get maxLength(): number {
    return this.#tokenizer.maxLength;
  }

  /** How the logits of a text's rows are joined. */
  get chunkJoin(): ChunkJoin {
    return this.#tokenizer.longTexts.join;
  }

  /** Encodes a text, or a pair, as rows for {@link logits}; a long text may have several. */
  encode(text: string, pair?: string): (Encoding & EncodedText)[] {
    return encodeText(this.#tokenizer, this.#partner, text, pair);
  }

  /** The numbers of all tokens of texts, and of those that the model does not know. */
  countTokens(texts: readonly string[]): TokenCounts {
    return this.#tokenizer.countAll(texts.flatMap((text) => this.#tokenizer.encodeRows(text)));
  }

  /** The part of texts that the model does not see. */
  lossOf(texts: Iterable<string>): TextLoss {
    return this.#tokenizer.lossOf(texts);
  }

  /** The logits of texts that go through the model together, in their order. */
  logits(batch: readonly EncodedText[]): Promise<Float32Array[]> {
    return batchLogits(this.#session, batch, this.#config);
  }

  /** The scores of each text, in the order of {@link labels}. */
  async scores(texts: readonly string[], options?: BatchesOptions): Promise<number[][]> {
    const encoded = texts.map((text) => this.encode(text));
    const logits = await inBatches(encoded.flat(), (batch) => this.logits(batch), options);
    return byText(encoded, logits).map((rows) =>
      scoresOf(joinLogits(rows, this.chunkJoin), this.problemType)
    );
  }

  /**
   * The scores of each text, and beside them the scores of the network alone before calibration.
   */
  async scoresBesideUncalibrated(
    texts: readonly string[],
  ): Promise<{ scores: number[]; uncalibrated: number[] }[]> {
    const encoded = texts.map((text) => this.encode(text));
    const alone = encoded.flat().map((row) => ({ ...row, partner: undefined }));
    const logits = await inBatches(alone, (batch) => this.logits(batch));
    const calibration = calibrationOf(this.#config);
    return byText(encoded, logits).map((rows, i) => {
      const row = joinLogits(rows, this.chunkJoin);
      return {
        scores: scoresOf(withPartner(row, encoded[i]![0]!), this.problemType),
        uncalibrated: scoresOf(uncalibrated(row, calibration), this.problemType),
      };
    });
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
