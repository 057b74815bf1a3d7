/**
 * The way from texts to logits, and from these to scores.
 *
 * @module
 */
import type { Problem, ProblemType } from "../../data/labels.ts";
import { collate, evaluationBatches, type TokenIds } from "../../data/batches.ts";
import { UserError } from "../../lib/user_error.ts";
import type { TensorData } from "../../onnx/graph/graph.ts";
import type { InferenceSession } from "../../onnx/runtime/executor.ts";
import { CONFIG_FILE, labelsOf, type ModelConfig } from "../formats/config.ts";
import type { PooledPartner } from "../partner/partner_file.ts";
import type { ChunkJoin } from "../text/long_texts.ts";
import type { Encoding, Tokenizer } from "../text/tokenizer.ts";

/** The number of texts that go through a model together when nobody waits for one of them. */
export const BATCH_SIZE = 64;

/**
 * The most tokens of such a batch, padding included: larger batches are not faster, and the memory
 * for attention scores grows with the square of a text's length.
 */
export const BATCH_TOKENS = 4096;

/** A graph that takes {@link collate}'s tensors and gives `logits`. */
type ClassifierSession = Pick<InferenceSession, "run">;

/** A text, or a pair whose second text begins at `secondStart`. */
export interface EncodedText {
  ids: TokenIds;
  secondStart?: number;
  /** The number of an adapter's virtual tokens that the device computes beside the text's. */
  virtualTokens?: number;
  /** The logits of the model's partner, if it has one. */
  partner?: PartnerAnswer | undefined;
}

/** The answer of a partner, whose logits are added to those of the network. */
export interface PartnerAnswer {
  /** `[labels]` */
  logits: Float32Array;
  /** The factor of the network's own logits. */
  networkScale: number;
}

/**
 * Encodes a text, or a pair of texts, as rows of a model with its partner: one row, or one for each
 * chunk of a long text. Pairs are never in chunks.
 */
export function encodeText(
  tokenizer: Tokenizer,
  partner: PooledPartner | undefined,
  text: string,
  pair?: string,
): (Encoding & EncodedText)[] {
  const rows = pair === undefined ? tokenizer.encodeRows(text) : [tokenizer.encodePair(text, pair)];
  const answer = partner?.answer(text, pair);
  return rows.map((row) => ({ ...row, partner: answer }));
}

/** The logits of a text, `[labels]`, joined from those of its rows. */
export function joinLogits(rows: readonly Float32Array[], join: ChunkJoin): Float32Array {
  const [first, ...others] = rows;
  if (others.length === 0) return first!;
  return first!.map((logit, label) =>
    join === "max"
      ? others.reduce((most, row) => Math.max(most, row[label]!), logit)
      : others.reduce((sum, row) => sum + row[label]!, logit) / rows.length
  );
}

/**
 * The results of the rows of all texts, grouped by text.
 *
 * @param texts The rows of each text.
 * @param results One for each row, in their order.
 */
export function byText<Result>(
  texts: readonly (readonly unknown[])[],
  results: readonly Result[],
): Result[][] {
  let next = 0;
  return texts.map(({ length }) => results.slice(next, next += length));
}

/** The logits of a network and its partner together, `[labels]`. */
export function withPartner(
  logits: Float32Array,
  { partner }: Pick<EncodedText, "partner">,
): Float32Array {
  if (partner === undefined) return logits;
  return logits.map((logit, label) => partner.networkScale * logit + partner.logits[label]!);
}

/**
 * The logits of texts that go through a model together, in the order of the texts.
 *
 * @param config The model's configuration.
 * @throws {UserError} If the model gives anything but a number for each class of each text.
 */
export async function batchLogits(
  session: ClassifierSession,
  batch: readonly EncodedText[],
  config: ModelConfig,
): Promise<Float32Array[]> {
  const tensors = collate(batch.map(({ ids }) => ids), config.pad_token_id);
  const { data: types, shape: [, length] } = tensors.token_type_ids;
  for (const [row, { ids, secondStart = ids.length }] of batch.entries()) {
    (types as BigInt64Array).fill(1n, row * length! + secondStart, row * length! + ids.length);
  }
  const { logits } = await session.run(tensors);
  const rows = logitRows(logits, batch.length, labelsOf(config).length);
  return batch.map((text, row) => withPartner(rows[row]!, text));
}

/**
 * The logits of each text.
 *
 * @param logits The graph's output of this name.
 * @throws {UserError} If they are not float32 `[batch, labels]`.
 */
export function logitRows(
  logits: TensorData | undefined,
  batch: number,
  labels: number,
): Float32Array[] {
  if (logits?.type !== "float32" || String(logits.shape) !== String([batch, labels])) {
    const found = logits === undefined ? "none" : `${logits.type} [${logits.shape}]`;
    throw new UserError(
      `Cannot classify: the model's logits must be float32 [${batch},${labels}], got ${found}`,
    );
  }
  const data = logits.data as Float32Array;
  return Array.from({ length: batch }, (_, row) => data.slice(row * labels, (row + 1) * labels));
}

/** Options of {@link inBatches}. */
export interface BatchesOptions {
  /** The most texts of a batch; {@link BATCH_SIZE} by default. */
  batchSize?: number;
  signal?: AbortSignal | undefined;
}

/**
 * The results of batches of texts, in the order of the texts. Texts of similar length share a
 * batch, so that there is little padding.
 *
 * @param run Runs a batch, and returns one result for each text.
 * @throws The signal's reason, if it aborts.
 */
export async function inBatches<Text extends EncodedText, Result>(
  texts: readonly Text[],
  run: (batch: Text[]) => Promise<Result[]>,
  { batchSize = BATCH_SIZE, signal }: BatchesOptions = {},
): Promise<Result[]> {
  const results = new Array<Result>(texts.length);
  const lengths = texts.map(({ ids }) => ids.length);
  for (const batch of evaluationBatches(lengths, batchSize, BATCH_TOKENS)) {
    signal?.throwIfAborted();
    const batchResults = await run(batch.map((index) => texts[index]!));
    for (const [row, index] of batch.entries()) results[index] = batchResults[row]!;
  }
  return results;
}

/**
 * The lowest score that counts as predicted for a class without a threshold of its own, where a
 * text may have several classes.
 */
export const THRESHOLD = 0.5;

/**
 * The scores of logits, as in transformers' text-classification pipeline: the probabilities of the
 * classes, which add up to 1 where a text has one class and are independent where it may have
 * several, or the values themselves.
 *
 * @throws {UserError} If a logit is not finite, which has no meaning.
 */
export function scoresOf(logits: ArrayLike<number>, problemType: ProblemType): number[] {
  const wrong = Array.from(logits).find((logit) => !Number.isFinite(logit));
  if (wrong !== undefined) {
    throw new UserError(
      `Cannot classify: the model's logits must be finite, got ${wrong}; its weights or its ` +
        `${CONFIG_FILE} are damaged`,
    );
  }
  switch (problemType) {
    case "single_label_classification":
      return softmax(logits);
    case "multi_label_classification":
      return Array.from(logits, (logit) => 1 / (1 + Math.exp(-logit)));
    case "regression":
      return Array.from(logits);
  }
}

/** The indices of the classes that scores predict, in ascending order; none for a regression. */
export function predictedClasses(
  scores: readonly number[],
  { problemType, thresholds }: Pick<Problem, "problemType" | "thresholds">,
): number[] {
  switch (problemType) {
    case "single_label_classification":
      return [argMax(scores)];
    case "multi_label_classification":
      return scores.flatMap((score, index) =>
        score >= (thresholds?.[index] ?? THRESHOLD) ? index : []
      );
    case "regression":
      return [];
  }
}

/** The probabilities of the classes. */
export function softmax(logits: ArrayLike<number>): number[] {
  const values = Array.from(logits);
  const largest = Math.max(...values);
  const exponentials = values.map((value) => Math.exp(value - largest));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((value) => value / sum);
}

/** The index of the largest value; the first of equal ones. */
export function argMax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
