/**
 * One base with many adapters on it: each row of a batch goes through the base with the virtual
 * tokens and the head of its own adapter. Adapters come and go while the base stays loaded.
 *
 * @module
 */
import type { ProblemType } from "../../data/labels.ts";
import { collate } from "../../data/batches.ts";
import { UserError } from "../../lib/user_error.ts";
import type { Executor, TableSession } from "../../onnx/runtime/executor.ts";
import { Graph, type TensorData } from "../../onnx/graph/graph.ts";
import { add, gather, matMul, mul, reshape, slice } from "../../onnx/graph/operators.ts";
import { encodeModel } from "../../onnx/graph/proto.ts";
import {
  adaptedConfig,
  adaptedTokenizer,
  checkBase,
  readBaseWeights,
  type StoredAdapter,
} from "../formats/adapter.ts";
import { weightsSha256 } from "../formats/weight_files.ts";
import { classifierLogits } from "../heads/classifier.ts";
import { familyOf, readConfig } from "../family.ts";
import { type ModelConfig, problemOf } from "../formats/config.ts";
import type { EncodedText } from "./inference.ts";
import { methodOf } from "../tuners/tuner.ts";
import { prefixWidth } from "../tuners/prefix.ts";
import { sizesOf } from "../tuners/virtual_tokens.ts";
import { Tokenizer } from "../text/tokenizer.ts";
import { type Dtype, quantizeEncoder, type Weights } from "../weights.ts";

/** A text, or a pair of texts, for one adapter of a bank. */
export interface BankRow extends EncodedText {
  /** The name under which it was added. */
  adapter: string;
}

/** What a caller needs to know of an adapter to encode texts and to read its logits. */
export interface BankedAdapter {
  problemType: ProblemType;
  labels: readonly string[];
  virtualTokens: number;
  /** Cuts texts to what the adapter takes. */
  tokenizer: Tokenizer;
}

/** A bank is full; it takes the adapter when others have left. */
export class BankFullError extends UserError {
  override name = "BankFullError";
}

/** Settings of {@link AdapterBank.load}. */
export interface AdapterBankOptions {
  /** The most that adapters may take in memory, without the base. */
  memoryBudgetBytes?: number;
  /** How the base is held; float32 by default. */
  dtype?: Dtype | undefined;
}

const DEFAULT_BUDGET_BYTES = 2 ** 28;
const BYTES = Float32Array.BYTES_PER_ELEMENT;

/** The tables of a bank; row 0 of each is zero and stands where there is nothing. */
const TABLES = ["prefixes", "prompts", "heads"] as const;
type TableName = typeof TABLES[number];

/** The input with the rows that a graph takes of a table. */
const INDICES = { prefixes: "prefix_ids", prompts: "prompt_ids", heads: "label_ids" } as const;

/** The rows of the tables that belong to an adapter. */
interface Entry extends BankedAdapter {
  rows: Record<TableName, number[]>;
}

/** A base and the adapters on it. */
export class AdapterBank {
  readonly #baseDir: string;
  readonly #config: ModelConfig;
  readonly #tokenizer: Tokenizer;
  readonly #session: TableSession;
  readonly #widths: Record<TableName, number>;
  readonly #budgetBytes: number;
  /** What the device can hold of each table. */
  readonly #maxRows: Record<TableName, number>;
  #baseSha256: string | undefined;
  readonly #entries = new Map<string, Entry>();
  readonly #free: Record<TableName, number[]> = { prefixes: [], prompts: [], heads: [] };
  /** How many rows each table has had so far. */
  readonly #rowCounts: Record<TableName, number> = { prefixes: 1, prompts: 1, heads: 1 };

  private constructor(
    baseDir: string,
    config: ModelConfig,
    tokenizer: Tokenizer,
    session: TableSession,
    maxRows: Record<TableName, number>,
    budgetBytes: number,
  ) {
    this.#baseDir = baseDir;
    this.#config = config;
    this.#tokenizer = tokenizer;
    this.#session = session;
    this.#widths = tableWidths(config);
    this.#maxRows = maxRows;
    this.#budgetBytes = budgetBytes;
  }

  /**
   * Loads a base.
   *
   * @throws {UserError} If the folder holds no model that can be used.
   */
  static async load(
    executor: Pick<Executor, "loadTableSession">,
    baseDir: string,
    { memoryBudgetBytes = DEFAULT_BUDGET_BYTES, dtype = "fp32" }: AdapterBankOptions = {},
  ): Promise<AdapterBank> {
    const config = await readConfig(baseDir);
    const tokenizer = await Tokenizer.load(baseDir, config.vocab_size);
    const widths = tableWidths(config);
    const session = await executor.loadTableSession(
      bankModel(config, await readBaseWeights(baseDir, config), dtype),
      TABLES.map((name) => ({ name, width: widths[name], indices: INDICES[name] })),
    );
    const maxRows = {
      prefixes: await session.maxRows("prefixes"),
      prompts: await session.maxRows("prompts"),
      heads: await session.maxRows("heads"),
    };
    return new AdapterBank(baseDir, config, tokenizer, session, maxRows, memoryBudgetBytes);
  }

  /** How many adapters there are. */
  get size(): number {
    return this.#entries.size;
  }

  /** What all adapters take in memory together, in bytes. */
  get bytes(): number {
    return [...this.#entries.values()].reduce(
      (sum, { rows: { prefixes, prompts, heads } }) =>
        sum + this.#bytesOf({
          prefixes: prefixes.length,
          prompts: prompts.length,
          heads: heads.length,
        }),
      0,
    );
  }

  /**
   * Adds an adapter under a name of its own.
   *
   * @throws {BankFullError} If it does not fit into the memory budget, or on the device.
   * @throws {UserError} If it is for another base.
   */
  async add(name: string, adapter: StoredAdapter): Promise<BankedAdapter> {
    const { peft, weights } = adapter;
    const config = adaptedConfig(adapter, this.#config);
    await checkBase(adapter, this.#baseDir, () => this.#weightsSha256());
    if (this.#entries.has(name)) throw new RangeError(`There is an adapter '${name}' already`);
    const method = methodOf(peft);
    const { bankTable } = method;
    const { count, values } = method.bankRows(peft, weights);
    const counts = { prefixes: 0, prompts: 0, heads: adapter.labelCount, [bankTable]: count };
    this.#checkRoom(adapter, counts);
    const rows = {
      prefixes: this.#takeRows("prefixes", counts.prefixes),
      prompts: this.#takeRows("prompts", counts.prompts),
      heads: this.#takeRows("heads", counts.heads),
    };
    const heads = headRows(weights, familyOf(config).names.output);
    // The executor keeps to the order of its calls: a batch that comes now finds the rows written.
    const writes = [
      this.#session.writeRows(bankTable, rows[bankTable], values),
      this.#session.writeRows("heads", rows.heads, heads),
    ];
    const entry: Entry = {
      ...problemOf(config),
      virtualTokens: method.virtualTokens(peft),
      tokenizer: adaptedTokenizer(adapter, this.#tokenizer, config),
      rows,
    };
    this.#entries.set(name, entry);
    try {
      await Promise.all(writes);
    } catch (error) {
      this.remove(name);
      throw error;
    }
    return entry;
  }

  /** The base's, which takes a while; a failure is not kept. */
  async #weightsSha256(): Promise<string> {
    return this.#baseSha256 ??= await weightsSha256(this.#baseDir);
  }

  /** Takes an adapter out; batches that have begun are not affected. */
  remove(name: string): void {
    const { rows } = this.#entry(name);
    this.#entries.delete(name);
    for (const table of TABLES) this.#free[table].push(...rows[table]);
  }

  /** An adapter of the bank. */
  get(name: string): BankedAdapter {
    return this.#entry(name);
  }

  /** The logits of texts that go through the base together, in their order. */
  async logits(batch: readonly BankRow[]): Promise<Float32Array[]> {
    const entries = batch.map(({ adapter }) => this.#entry(adapter));
    const { logits } = await this.#session.run(this.#feeds(batch, entries));
    const data = logits!.data as Float32Array;
    const width = data.length / batch.length;
    return entries.map(({ labels }, row) => data.slice(row * width, row * width + labels.length));
  }

  /** Frees the memory of the base and its adapters. */
  release(): Promise<void> {
    return this.#session.release();
  }

  /** A prompt's virtual tokens become the first of a row; a prefix moves a text's positions. */
  #feeds(batch: readonly BankRow[], entries: readonly Entry[]): Record<string, TensorData> {
    const prompts = entries.map(({ rows }) => rows.prompts);
    const ids = batch.map(({ ids }, row) => [...prompts[row]!.map(() => 0), ...ids]);
    const feeds = collate(ids, this.#config.pad_token_id);
    const length = feeds.input_ids.shape[1]!;
    for (const [row, { secondStart }] of batch.entries()) {
      if (secondStart === undefined) continue;
      const start = row * length;
      (feeds.token_type_ids.data as BigInt64Array)
        .fill(1n, start + prompts[row]!.length + secondStart, start + ids[row]!.length);
    }
    const { first, count } = familyOf(this.#config).positions(this.#config);
    const wordMask = prompts.map((rows) => padded(rows.map(() => 0), length, 1));
    const prefixes = entries.map(({ rows }) => rows.prefixes);
    const prefixLength = Math.max(1, ...prefixes.map((rows) => rows.length));
    const labelCount = Math.max(...entries.map(({ rows }) => rows.heads.length));
    return {
      ...feeds,
      position_ids: integers(prefixes.map((rows) =>
        // Padding may reach beyond the last position; nothing attends to it.
        Array.from({ length }, (_, i) => first + Math.min(rows.length + i, count - 1))
      )),
      word_mask: floats(wordMask),
      prompt_ids: integers(prompts.map((rows) => padded(rows, length))),
      prefix_ids: integers(prefixes.map((rows) => padded(rows, prefixLength))),
      prefix_mask: floats(prefixes.map((rows) => padded(rows.map(() => 1), prefixLength))),
      label_ids: integers(entries.map(({ rows }) => padded(rows.heads, labelCount))),
    };
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new RangeError(`There is no adapter '${name}'`);
    return entry;
  }

  #checkRoom({ dir }: StoredAdapter, counts: Record<TableName, number>): void {
    const needed = this.#bytesOf(counts);
    const left = this.#budgetBytes - this.bytes;
    if (needed > left) {
      throw new BankFullError(
        `Cannot add '${dir}' to the adapters in memory: it takes ${kilobytes(needed)}, ` +
          `and of ${kilobytes(this.#budgetBytes)} there are ${kilobytes(left)} left`,
      );
    }
    for (const table of TABLES) {
      const rows = this.#maxRows[table] - this.#rowCounts[table] + this.#free[table].length;
      if (counts[table] <= rows) continue;
      throw new BankFullError(
        `Cannot add '${dir}' to the adapters in memory: its ${table} take ${counts[table]} rows ` +
          `of a table, and of ${
            this.#maxRows[table]
          } that the device can hold there are ${rows} left`,
      );
    }
  }

  #takeRows(table: TableName, count: number): number[] {
    const free = this.#free[table].splice(0, count);
    while (free.length < count) free.push(this.#rowCounts[table]++);
    return free;
  }

  #bytesOf(rowCounts: Record<TableName, number>): number {
    return TABLES.reduce((sum, table) => sum + rowCounts[table] * this.#widths[table] * BYTES, 0);
  }
}

function tableWidths(config: ModelConfig): Record<TableName, number> {
  const sizes = sizesOf(config);
  return {
    prefixes: prefixWidth(sizes),
    prompts: sizes.token_dim,
    heads: sizes.token_dim + 1,
  };
}

/** The base as a graph that gathers what belongs to each row. */
function bankModel(config: ModelConfig, weights: Weights, dtype: Dtype): Uint8Array {
  const graph = new Graph();
  const { hidden_size: hidden } = familyOf(config).sizes(config);
  const widths = tableWidths(config);
  /** `[batch, count, width]` */
  const gathered = (name: TableName, count: string) =>
    gather(
      graph.input(name, "float32", [`${name}_rows`, widths[name]]),
      graph.input(INDICES[name], "int64", ["batch", count]),
    );
  const prefix = gathered("prefixes", "prefix");
  const logits = classifierLogits(graph, {
    config,
    parameter: (name, shape) =>
      graph.initializer(name, { type: "float32", shape, data: weights[name]! }),
    virtualTokens: { prefix },
    mixedRows: {
      positionIds: graph.input("position_ids", "int64", ["batch", "length"]),
      prefixMask: graph.input("prefix_mask", "float32", ["batch", "prefix"]),
      withPrompts: (words) => {
        const mask = graph.input("word_mask", "float32", ["batch", "length"]);
        return add(
          mul(words, reshape(mask, ["batch", "length", 1])),
          gathered("prompts", "length"),
        );
      },
      heads: (pooled) => {
        const heads = gathered("heads", "labels");
        const products = matMul(slice(heads, 2, 0, hidden), reshape(pooled, ["batch", hidden, 1]));
        return reshape(add(products, slice(heads, 2, hidden, hidden + 1)), ["batch", "labels"]);
      },
    },
  });
  graph.output("logits", logits);
  if (dtype === "q8") quantizeEncoder(graph, config);
  return encodeModel(graph);
}

/** A head with the bias of each class behind its weights, `[labels, hidden+1]`. */
function headRows(weights: Weights, layer: string): Float32Array {
  const [weight, bias] = [weights[`${layer}.weight`]!, weights[`${layer}.bias`]!];
  const hidden = weight.length / bias.length;
  const rows = new Float32Array(bias.length * (hidden + 1));
  for (const [label, value] of bias.entries()) {
    const start = label * (hidden + 1);
    rows.set(weight.subarray(label * hidden, (label + 1) * hidden), start);
    rows[start + hidden] = value;
  }
  return rows;
}

function padded(values: readonly number[], length: number, padding = 0): number[] {
  return Array.from({ length }, (_, i) => values[i] ?? padding);
}

function integers(rows: readonly number[][]): TensorData {
  const shape = [rows.length, rows[0]!.length];
  return { type: "int64", shape, data: BigInt64Array.from(rows.flat(), BigInt) };
}

function floats(rows: readonly number[][]): TensorData {
  return {
    type: "float32",
    shape: [rows.length, rows[0]!.length],
    data: Float32Array.from(rows.flat()),
  };
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1e3).toFixed(1)} kB`;
}
