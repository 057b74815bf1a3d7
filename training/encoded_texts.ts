/**
 * The training texts of a run as tokens. Those of a small data set are encoded at once, into
 * memory; those of a large one while the run goes on, into a file, in the order in which its steps
 * need them.
 *
 * @module
 */
import { type Examples, readFully, selectExamples } from "../data/example_file.ts";
import type { TokenIds } from "../data/batches.ts";
import { addLoss, type TextLoss, type TokenCounts } from "../models/text/tokenizer.ts";
import type { EncodedBatch } from "./encoded_batch.ts";

/** Texts whose tokens are known, or will be. */
export interface EncodedTexts {
  /** The number of tokens of each text; 0 while it is not known. */
  readonly lengths: ArrayLike<number>;
  /** Waits until the tokens of some texts are known. */
  ready(rows: readonly number[]): Promise<void>;
  /** The tokens of a text that is ready. */
  ids(row: number): TokenIds;
}

/** Texts that are encoded. */
export function encodedTexts(rows: readonly { ids: TokenIds }[]): EncodedTexts {
  return {
    lengths: rows.map(({ ids }) => ids.length),
    ready: () => Promise.resolve(),
    ids: (row) => rows[row]!.ids,
  };
}

/** Options of {@link GrowingTexts}. */
export interface GrowingTextsOptions {
  /** The file for the tokens. */
  file: string;
  /** Encodes texts, each to one row. */
  encode(texts: readonly string[]): Promise<EncodedBatch>;
  /** The number of calls of `encode` at the same time. */
  parallel: number;
  /** Called with the number of texts encoded so far. */
  onProgress(texts: number): void;
}

/** The most texts that are encoded before the run begins; more are encoded while it goes on. */
export const MOST_AT_ONCE = 20_000;
/** The most texts that one call encodes. */
export const CALL_TEXTS = 800;
const BYTES = Uint32Array.BYTES_PER_ELEMENT;

/**
 * Texts that are encoded in the order in which they are wanted, each once. Memory holds a few numbers
 * for each.
 */
export class GrowingTexts implements EncodedTexts, Disposable {
  readonly lengths: Uint32Array;
  /** The loss of tokens on the way into the model, in the texts encoded so far. */
  readonly loss: TextLoss = { texts: 0, long: 0, tokens: 0, lost: 0 };
  /** The tokens of the texts encoded so far. */
  readonly counts: TokenCounts = { tokens: 0, unknown: 0 };
  readonly #examples: Examples;
  readonly #options: GrowingTextsOptions;
  readonly #file: Deno.FsFile;
  /** The place of each text's tokens in the file, in bytes. */
  readonly #starts: Float64Array;
  /** The call that encodes each text, counted from 1; 0 while there is none. */
  readonly #callOf: Uint32Array;
  readonly #calls: Promise<void>[] = [];
  #written = 0;
  #isClosed = false;

  constructor(examples: Examples, options: GrowingTextsOptions) {
    this.#examples = examples;
    this.#options = options;
    this.lengths = new Uint32Array(examples.length);
    this.#starts = new Float64Array(examples.length);
    this.#callOf = new Uint32Array(examples.length);
    this.#file = Deno.openSync(options.file, {
      read: true,
      write: true,
      create: true,
      truncate: true,
    });
  }

  async ready(rows: readonly number[]): Promise<void> {
    const missing = rows.filter((row) => this.#callOf[row] === 0);
    for (let from = 0; from < missing.length; from += CALL_TEXTS) {
      this.#call(missing.slice(from, from + CALL_TEXTS));
    }
    const calls = new Set(rows.map((row) => this.#callOf[row]!));
    for (const call of calls) await this.#calls[call - 1];
  }

  /**
   * Encodes texts in the order in which they are wanted, while other work goes on. {@link ready}
   * throws the errors.
   */
  async encodeAhead(wanted: Iterable<readonly number[]>): Promise<void> {
    const going = new Set<Promise<void>>();
    for (const rows of wanted) {
      if (this.#isClosed) break;
      if (rows.every((row) => this.#callOf[row] !== 0)) continue;
      const call = this.ready(rows).catch(() => {}).finally(() => going.delete(call));
      going.add(call);
      if (going.size >= this.#options.parallel) await Promise.race(going);
    }
    await Promise.all(going);
  }

  ids(row: number): number[] {
    const ids = new Uint32Array(this.lengths[row]!);
    readFully(this.#file, this.#options.file, new Uint8Array(ids.buffer), this.#starts[row]!);
    return Array.from(ids);
  }

  #call(rows: readonly number[]): void {
    const call = this.#encode(rows);
    // If nobody waits for these texts, nobody needs them.
    call.catch(() => {});
    this.#calls.push(call);
    for (const row of rows) this.#callOf[row] = this.#calls.length;
  }

  async #encode(rows: readonly number[]): Promise<void> {
    const texts = Array.from(selectExamples(this.#examples, rows), ({ text }) => text);
    const { ids, lengths, loss, counts } = await this.#options.encode(texts);
    if (this.#isClosed) return;
    const bytes = new Uint8Array(ids.buffer);
    this.#file.seekSync(this.#written, Deno.SeekMode.Start);
    for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
    for (const [i, row] of rows.entries()) {
      this.#starts[row] = this.#written;
      this.#written += lengths[i]! * BYTES;
      this.lengths[row] = lengths[i]!;
    }
    addLoss(this.loss, loss);
    this.counts.tokens += counts.tokens;
    this.counts.unknown += counts.unknown;
    this.#options.onProgress(this.loss.texts);
  }

  [Symbol.dispose](): void {
    if (!this.#isClosed) this.#file.close();
    this.#isClosed = true;
  }
}
