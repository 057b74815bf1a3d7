/**
 * A loaded model as the predictor sees it, whether it has the device's memory to itself or is one
 * of several adapters on a base.
 *
 * @module
 */
import type { ProblemType } from "../data/labels.ts";
import type { AdapterBank, BankedAdapter, BankRow } from "../models/inference/adapter_bank.ts";
import {
  byText,
  type EncodedText,
  encodeText,
  inBatches,
  joinLogits,
  scoresOf,
} from "../models/inference/inference.ts";
import type { TextClassifier } from "../models/inference/text_classifier.ts";
import type { ChunkJoin } from "../models/text/long_texts.ts";
import { ExecutorTimeoutError } from "../onnx/runtime/executor.ts";
import type { Encoding } from "../models/text/tokenizer.ts";
import type { BatchGroup } from "./batcher.ts";

/** A loaded model. */
export interface ServedModel {
  readonly problemType: ProblemType;
  /** The names of the classes in the order of the logits. */
  readonly labels: readonly string[];
  /** The most tokens that a text may have. */
  readonly maxLength: number;
  /** The group that runs its rows; models of the same group may share a batch. */
  readonly group: BatchGroup;
  /** How the logits of a text's rows are joined. */
  readonly chunkJoin: ChunkJoin;
  /** Encodes a text, or a pair of texts, as rows of the group: a long text may have several. */
  encode(text: string, pair?: string): Encoding[];
  /** The rows of a text that was encoded elsewhere. */
  rowsOf(encoded: readonly (Encoding & EncodedText)[]): Encoding[];
  /** The scores of each text, in the order of the labels. */
  scores(texts: readonly string[]): Promise<number[][]>;
  /** Frees the model's memory. */
  release(): Promise<void>;
}

/**
 * A model with a graph of its own.
 *
 * @param onTimeout Called when a batch took too long and its executor was ended.
 */
export function servedClassifier(
  classifier: TextClassifier,
  onTimeout: (error: ExecutorTimeoutError) => void,
): ServedModel {
  const { problemType, labels, maxLength, chunkJoin } = classifier;
  const group: BatchGroup = {
    logits: (rows) =>
      classifier.logits(rows).catch((error) => {
        if (error instanceof ExecutorTimeoutError) onTimeout(error);
        throw error;
      }),
  };
  return {
    problemType,
    labels,
    maxLength,
    chunkJoin,
    group,
    encode: (text, pair) => classifier.encode(text, pair),
    rowsOf: (encoded) => [...encoded],
    scores: (texts) => classifier.scores(texts),
    release: () => classifier.release(),
  };
}

/**
 * An adapter of a bank.
 *
 * @param name Its name in the bank.
 * @param release Removes it from the bank.
 */
export function servedAdapter(
  bank: AdapterBank,
  name: string,
  { problemType, labels, tokenizer, virtualTokens, partner }: BankedAdapter,
  release: () => Promise<void>,
): ServedModel {
  const rowsOf = (encoded: readonly (Encoding & EncodedText)[]): (Encoding & BankRow)[] =>
    encoded.map((row) => ({ ...row, adapter: name, virtualTokens }));
  const encode = (text: string, pair?: string) =>
    rowsOf(encodeText(tokenizer, partner, text, pair));
  const { maxLength, longTexts: { join } } = tokenizer;
  return {
    problemType,
    labels,
    maxLength,
    chunkJoin: join,
    // The bank is given rows of its own adapters only.
    group: bank as BatchGroup<EncodedText & BankRow> as BatchGroup,
    encode,
    rowsOf,
    async scores(texts) {
      const encoded = texts.map((text) => encode(text));
      const logits = await inBatches(encoded.flat(), (batch) => bank.logits(batch));
      return byText(encoded, logits).map((rows) => scoresOf(joinLogits(rows, join), problemType));
    },
    release,
  };
}
