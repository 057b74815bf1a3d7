/**
 * The queue of texts in front of the device. There is no timer: texts gather while the device
 * works, and the next batch takes those that are there.
 *
 * @module
 */
import { ExecutorEndedError } from "../onnx/runtime/executor.ts";
import type { EncodedText } from "../models/inference/inference.ts";

/** The duration aimed at for batches whose size is not given. */
const TARGET_BATCH_MS = 100;
/** The padded tokens of a batch before any has been timed. */
const FIRST_BATCH_TOKENS = 512;
const MAX_BATCH_TOKENS = 16_384;

/** Runs batches; rows of the same group may share one. */
export interface BatchGroup<Row extends EncodedText = EncodedText> {
  /** The logits of rows that go through a model together, in their order. */
  logits(rows: readonly Row[]): Promise<Float32Array[]>;
}

/** The logits of one request, and the time that they took. */
export interface BatchedLogits {
  /** The logits of each row, in the order of the rows. */
  logits: Float32Array[];
  /** The time from the request's arrival to its last batch's start, without its earlier ones. */
  queueMs: number;
  /** The total time of its batches. */
  inferenceMs: number;
}

/** A batch that has run. */
export interface BatchReport {
  rows: number;
  /** The number of tokens, with padding. */
  tokens: number;
  durationMs: number;
}

/** Settings of {@link Batcher}. */
export interface BatcherOptions {
  /**
   * The most padded tokens of a batch; a longer text goes alone. By default as many as the device
   * handles in about 100 ms.
   */
  maxBatchTokens?: number | undefined;
  /** Called with each batch that has run. */
  onBatch?: (report: BatchReport) => void;
}

/** A call whose rows are not all done. */
interface Request {
  group: BatchGroup;
  arrivedAt: number;
  logits: Float32Array[];
  missing: number;
  inferenceMs: number;
  finished: boolean;
  resolve: (result: BatchedLogits) => void;
  reject: (error: unknown) => void;
}

interface Waiting {
  request: Request;
  index: number;
  row: EncodedText;
  /** The number of tokens, with virtual ones. */
  length: number;
}

/** Combines rows of many requests into batches, which run one at a time. */
export class Batcher {
  readonly #maxBatchTokens: number | undefined;
  readonly #onBatch: (report: BatchReport) => void;
  /** The number of tokens that a group handles in {@link TARGET_BATCH_MS}. */
  readonly #measured = new WeakMap<BatchGroup, number>();
  /** The waiting rows, in the order of arrival. */
  #queue: Waiting[] = [];
  #working = false;

  constructor({ maxBatchTokens, onBatch = () => {} }: BatcherOptions = {}) {
    this.#maxBatchTokens = maxBatchTokens;
    this.#onBatch = onBatch;
  }

  /** The number of rows that wait. */
  get queueLength(): number {
    return this.#queue.length;
  }

  /**
   * Computes the logits of rows, which may be in several batches and share them with other
   * requests.
   *
   * A batch that fails is run again request by request, so that no request fails by another's
   * fault.
   *
   * @param signal Aborts when nobody waits any more; rows that have not begun are then dropped.
   * @throws The group's error, or the signal's reason.
   */
  run<Row extends EncodedText>(
    group: BatchGroup<Row>,
    rows: readonly Row[],
    signal?: AbortSignal,
  ): Promise<BatchedLogits> {
    const { promise, resolve, reject } = Promise.withResolvers<BatchedLogits>();
    const request: Request = {
      group: group as BatchGroup,
      arrivedAt: performance.now(),
      logits: new Array<Float32Array>(rows.length),
      missing: rows.length,
      inferenceMs: 0,
      finished: false,
      resolve,
      reject,
    };
    if (signal?.aborted) return Promise.reject(signal.reason);
    for (const [index, row] of rows.entries()) {
      this.#queue.push({ request, index, row, length: row.ids.length + (row.virtualTokens ?? 0) });
    }
    const leave = () => this.#fail(request, signal!.reason);
    signal?.addEventListener("abort", leave, { once: true });
    if (!this.#working) void this.#work();
    return promise.finally(() => signal?.removeEventListener("abort", leave));
  }

  async #work(): Promise<void> {
    this.#working = true;
    // Calls of the same moment share the first batch.
    await Promise.resolve();
    for (let batch; (batch = this.#takeBatch()) !== undefined;) await this.#run(batch);
    this.#working = false;
  }

  /** Takes the batch with the row that has waited longest out of the queue. */
  #takeBatch(): Waiting[] | undefined {
    const [oldest] = this.#queue;
    if (oldest === undefined) return undefined;
    const { group } = oldest.request;
    const rows = this.#queue.filter(({ request }) => request.group === group);
    const batch = cutBatches(rows, this.#budget(group)).find((rows) => rows.includes(oldest))!;
    const taken = new Set(batch);
    this.#queue = this.#queue.filter((waiting) => !taken.has(waiting));
    return batch;
  }

  async #run(batch: readonly Waiting[]): Promise<void> {
    try {
      await this.#runTogether(batch);
    } catch (error) {
      const parts = Map.groupBy(batch, ({ request }) => request);
      for (const [request, rows] of parts) {
        if (request.finished) continue;
        // An executor that has ended runs nothing more.
        if (parts.size > 1 && !(error instanceof ExecutorEndedError)) await this.#run(rows);
        else this.#fail(request, error);
      }
    }
  }

  async #runTogether(batch: readonly Waiting[]): Promise<void> {
    const { group } = batch[0]!.request;
    const startedAt = performance.now();
    const logits = await group.logits(batch.map(({ row }) => row));
    const durationMs = performance.now() - startedAt;
    const tokens = Math.max(...batch.map(({ length }) => length)) * batch.length;
    this.#measure(group, tokens, durationMs);
    this.#onBatch({ rows: batch.length, tokens, durationMs });
    for (const request of new Set(batch.map(({ request }) => request))) {
      request.inferenceMs += durationMs;
    }
    for (const [i, { request, index }] of batch.entries()) {
      request.logits[index] = logits[i]!;
      if (--request.missing === 0) succeed(request);
    }
  }

  /** Rejects a request, whose other rows are then not run. */
  #fail(request: Request, error: unknown): void {
    this.#queue = this.#queue.filter((waiting) => waiting.request !== request);
    request.finished = true;
    request.reject(error);
  }

  #budget(group: BatchGroup): number {
    return this.#maxBatchTokens ?? this.#measured.get(group) ?? FIRST_BATCH_TOKENS;
  }

  #measure(group: BatchGroup, tokens: number, durationMs: number): void {
    // The time of a small batch says more about its overhead than about the device.
    if (tokens < this.#budget(group) / 2) return;
    const budget = Math.round(tokens * TARGET_BATCH_MS / durationMs);
    this.#measured.set(group, Math.min(budget, MAX_BATCH_TOKENS));
  }
}

/**
 * Cuts rows into batches, the longest first, so that there is little padding.
 *
 * @param maxTokens The most padded tokens of a batch; a longer row goes alone.
 */
export function cutBatches<Row extends { length: number }>(
  rows: readonly Row[],
  maxTokens: number,
): Row[][] {
  const batches: Row[][] = [];
  for (const row of rows.toSorted((a, b) => b.length - a.length)) {
    const batch = batches.at(-1);
    if (batch !== undefined && batch[0]!.length * (batch.length + 1) <= maxTokens) batch.push(row);
    else batches.push([row]);
  }
  return batches;
}

function succeed(request: Request): void {
  request.finished = true;
  const { logits, inferenceMs, arrivedAt } = request;
  const queueMs = Math.max(0, performance.now() - arrivedAt - inferenceMs);
  request.resolve({ logits, queueMs, inferenceMs });
}
