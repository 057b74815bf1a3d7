/**
 * A model in memory as the predictor sees it, whether it has the device's memory to itself or is an
 * adapter among others on one base.
 *
 * @module
 */
import type { ProblemType } from "../data/labels.ts";
import type { AdapterBank, BankedAdapter, BankRow } from "../models/inference/adapter_bank.ts";
import {
  type EncodedText,
  encodeText,
  inBatches,
  scoresOf,
} from "../models/inference/inference.ts";
import type { TextClassifier } from "../models/inference/text_classifier.ts";
import { ExecutorTimeoutError } from "../onnx/runtime/executor.ts";
import type { Encoding } from "../models/text/tokenizer.ts";
import type { BatchGroup } from "./batcher.ts";

/** A model that is loaded. */
export interface ServedModel {
  readonly problemType: ProblemType;
  /** The names of the classes in the order of the logits. */
  readonly labels: readonly string[];
  /** The most tokens that a text may have. */
  readonly maxLength: number;
  /** What runs its rows; models with the same one may share a batch. */
  readonly group: BatchGroup;
  /** A text, or a pair of texts, as a row of the group. */
  encode(text: string, pair?: string): Encoding;
  /** The row of a text that was encoded elsewhere. */
  rowOf(encoded: Encoding & EncodedText): Encoding;
  /** The scores of each text, in the order of the labels. */
  scores(texts: readonly string[]): Promise<number[][]>;
  /** Frees its memory. */
  release(): Promise<void>;
}

/**
 * A model that has a graph of its own.
 *
 * @param onTimeout Told that a batch took too long, whose executor was ended for it.
 */
export function servedClassifier(
  classifier: TextClassifier,
  onTimeout: (error: ExecutorTimeoutError) => void,
): ServedModel {
  const { problemType, labels, maxLength } = classifier;
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
    group,
    encode: (text, pair) => classifier.encode(text, pair),
    rowOf: (encoded) => encoded,
    scores: (texts) => classifier.scores(texts),
    release: () => classifier.release(),
  };
}

/**
 * An adapter of a bank.
 *
 * @param name Its name there.
 * @param release Takes it out.
 */
export function servedAdapter(
  bank: AdapterBank,
  name: string,
  { problemType, labels, tokenizer, virtualTokens, partner }: BankedAdapter,
  release: () => Promise<void>,
): ServedModel {
  const rowOf = (encoded: Encoding & EncodedText): Encoding & BankRow => ({
    ...encoded,
    adapter: name,
    virtualTokens,
  });
  const encode = (text: string, pair?: string) => rowOf(encodeText(tokenizer, partner, text, pair));
  return {
    problemType,
    labels,
    maxLength: tokenizer.maxLength,
    // It is given no rows but those of its adapters.
    group: bank as BatchGroup<EncodedText & BankRow> as BatchGroup,
    encode,
    rowOf,
    async scores(texts) {
      const rows = texts.map((text) => encode(text));
      const logits = await inBatches(rows, (batch) => bank.logits(batch));
      return logits.map((row) => scoresOf(row, problemType));
    },
    release,
  };
}
