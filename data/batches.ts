/**
 * Batches of encoded texts. Texts of similar length go together and are padded to the longest of
 * their batch: the same mathematics as padding all to one length, for a fraction of the work.
 *
 * @module
 */
import type { TensorData } from "../onnx/graph/graph.ts";
import { Random } from "../lib/random.ts";

/** A text as token ids, with `[CLS]` and `[SEP]`. */
export type TokenIds = readonly number[];

/** The number of batches sorted by length together: more pad less, fewer shuffle better. */
const BATCHES_PER_CHUNK = 50;

/** The fixed cost of a batch, in tokens that take as long, on CPUs where this was timed. */
const BATCH_COST_TOKENS = 16;

/** Settings of {@link trainingBatches}. */
export interface TrainingBatchOptions {
  batchSize: number;
  seed: number;
  /** The epoch, counted from 0; each has an order of its own. */
  epoch: number;
  /** Whether to shuffle; without it the examples keep their order. */
  shuffle: boolean;
}

/** A batch before the lengths of its texts are known. */
export interface PlannedBatch {
  /** The texts that it is taken from. */
  chunk: readonly number[];
  /** Its index among the chunk's batches, the shortest texts first; by default it is all of it. */
  place?: number;
}

/**
 * Plans the batches of one epoch, as a pure function of its arguments. Each example is in one
 * batch.
 *
 * Examples are shuffled, cut into chunks, sorted by length within a chunk and cut into batches,
 * which are shuffled again, as transformers' `group_by_length` does. The lengths matter only within a
 * chunk, so that the first batch is known as soon as those of one chunk are.
 *
 * @param count The number of examples.
 */
export function plannedBatches(
  count: number,
  { batchSize, seed, epoch, shuffle }: TrainingBatchOptions,
): PlannedBatch[] {
  const indices = Array.from({ length: count }, (_, index) => index);
  if (!shuffle) return chunks(indices, batchSize).map((chunk) => ({ chunk }));
  const random = new Random(seed, epoch);
  const batches = chunks(random.shuffle(indices), batchSize * BATCHES_PER_CHUNK)
    .flatMap((chunk) =>
      Array.from(
        { length: Math.ceil(chunk.length / batchSize) },
        (_, place): PlannedBatch => ({ chunk, place }),
      )
    );
  return random.shuffle(batches);
}

/** The examples of a batch. @param lengths Those of its chunk must be known. */
export function batchOf(
  { chunk, place }: PlannedBatch,
  lengths: ArrayLike<number>,
  batchSize: number,
): readonly number[] {
  if (place === undefined) return chunk;
  return byLength(chunk, lengths).slice(place * batchSize, (place + 1) * batchSize);
}

/** The batches of one epoch, as indices into `lengths`; {@link plannedBatches} says how. */
export function trainingBatches(
  lengths: readonly number[],
  options: TrainingBatchOptions,
): (readonly number[])[] {
  return plannedBatches(lengths.length, options)
    .map((batch) => batchOf(batch, lengths, options.batchSize));
}

/**
 * Cuts a batch into parts. One that fits stays as it is; in others the longest texts go together.
 *
 * @param batch Indices into `lengths`.
 * @param textsOf The most texts of a part, by the tokens of its longest.
 */
export function cutBatch(
  batch: readonly number[],
  lengths: ArrayLike<number>,
  textsOf: (length: number) => number,
): number[][] {
  const order = byLength(batch, lengths);
  const parts: number[][] = [];
  for (let end = order.length; end > 0;) {
    const start = Math.max(0, end - textsOf(lengths[order[end - 1]!]!));
    parts.push(order.slice(start, end));
    end = start;
  }
  return parts.length === 1 ? [[...batch]] : parts;
}

/**
 * Batches for evaluation: all examples sorted by length, as indices into `lengths`. They are cut
 * so that padding and the cost of each batch by itself are least together.
 *
 * @param batchTokens The most tokens of a batch of several examples, padding included.
 */
export function evaluationBatches(
  lengths: readonly number[],
  batchSize: number,
  batchTokens: number = Infinity,
): number[][] {
  const order = byLength(lengths.map((_, index) => index), lengths);
  /** The least cost of the first examples, by their number, and the start of their last batch. */
  const best = [{ cost: 0, start: 0 }];
  for (let end = 1; end <= order.length; end++) {
    const longest = lengths[order[end - 1]!]!;
    let least = { cost: Infinity, start: 0 };
    const most = Math.max(1, Math.min(batchSize, Math.floor(batchTokens / longest)));
    for (let start = Math.max(0, end - most); start < end; start++) {
      const cost = best[start]!.cost + BATCH_COST_TOKENS + (end - start) * longest;
      if (cost < least.cost) least = { cost, start };
    }
    best.push(least);
  }
  const batches: number[][] = [];
  for (let end = order.length; end > 0; end = best[end]!.start) {
    batches.push(order.slice(best[end]!.start, end));
  }
  return batches.reverse();
}

/**
 * A batch as a model takes it: `input_ids`, `attention_mask` and `token_type_ids`, int64
 * `[batch, length]`.
 *
 * @param padId The id of `[PAD]`.
 */
export function collate(
  texts: readonly TokenIds[],
  padId: number,
): Record<"input_ids" | "attention_mask" | "token_type_ids", TensorData> {
  const length = Math.max(...texts.map((ids) => ids.length));
  const shape = [texts.length, length];
  const inputIds = new BigInt64Array(texts.length * length).fill(BigInt(padId));
  const attentionMask = new BigInt64Array(texts.length * length);
  for (const [row, ids] of texts.entries()) {
    inputIds.set(ids.map(BigInt), row * length);
    attentionMask.fill(1n, row * length, row * length + ids.length);
  }
  const tokenTypeIds = new BigInt64Array(texts.length * length);
  return {
    input_ids: { type: "int64", shape, data: inputIds },
    attention_mask: { type: "int64", shape, data: attentionMask },
    token_type_ids: { type: "int64", shape, data: tokenTypeIds },
  };
}

function byLength(indices: readonly number[], lengths: ArrayLike<number>): number[] {
  return indices.toSorted((a, b) => lengths[a]! - lengths[b]!);
}

/** Cuts a list into consecutive pieces, all of one size except the last. */
export function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from(
    { length: Math.ceil(items.length / size) },
    (_, i) => items.slice(i * size, (i + 1) * size),
  );
}
