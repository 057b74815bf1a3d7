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
import { Graph, type Tensor, type TensorData } from "../../onnx/graph/graph.ts";
import {
  add,
  expand,
  gather,
  layerNormalization,
  matMul,
  mul,
  reshape,
  slice,
} from "../../onnx/graph/operators.ts";
import type { Dimension } from "../../onnx/graph/shape.ts";
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
import { familyOf, type HeadLayer, readConfig } from "../family.ts";
import { type ModelConfig, problemOf } from "../formats/config.ts";
import { type EncodedText, logitRows, withPartner } from "./inference.ts";
import type { PooledPartner } from "../partner/partner_file.ts";
import type { Projection } from "../layers.ts";
import { mixedProjection } from "../tuners/lora.ts";
import { type BankRows, methodOf } from "../tuners/tuner.ts";
import { prefixWidth } from "../tuners/prefix.ts";
import { sizesOf } from "../tuners/virtual_tokens.ts";
import { Tokenizer } from "../text/tokenizer.ts";
import {
  type Dtype,
  ownsPooler,
  poolerParameters,
  quantizeEncoder,
  type Weights,
} from "../weights.ts";

/** A text, or a pair of texts, for one adapter of a bank. */
export interface BankRow extends EncodedText {
  /** The name under which the adapter was added. */
  adapter: string;
}

/** An adapter, for callers that encode its texts and read its logits. */
export interface BankedAdapter {
  problemType: ProblemType;
  labels: readonly string[];
  virtualTokens: number;
  /** A tokenizer that cuts texts to what the adapter takes. */
  tokenizer: Tokenizer;
  partner?: PooledPartner | undefined;
}

/** A bank is full; it can take the adapter after others have been removed. */
export class BankFullError extends UserError {
  override name = "BankFullError";
}

/** Settings of {@link AdapterBank.load}. */
export interface AdapterBankOptions {
  /** The most memory that adapters may take, without the base, in bytes. */
  memoryBudgetBytes?: number;
  /** The type of the base's weights; float32 by default. */
  dtype?: Dtype | undefined;
  /** The tables for adapters to come, beside those that every bank has; see {@link tablesOf}. */
  tables?: ReadonlyMap<string, number> | undefined;
}

const DEFAULT_BUDGET_BYTES = 2 ** 28;
const BYTES = Float32Array.BYTES_PER_ELEMENT;

const PREFIXES = "prefixes";
const PROMPTS = "prompts";
const POOLERS = "poolers";

/** The tables that every bank has beside those of its heads. */
export const COMMON_TABLES: readonly string[] = [PREFIXES, PROMPTS];

/** The name of the graph input with the rows to take from a table. */
const indicesOf = (table: string) => `${table}_ids`;

/** The name of the table of a layer of the heads. */
const headTable = (layer: number) => `heads_${layer}`;

/** Values by the names of tables. */
type ByTable<Value> = ReadonlyMap<string, Value>;

/** The rows of an adapter in the tables. */
interface Entry extends BankedAdapter {
  rows: ByTable<number[]>;
}

/** A table of a bank; row 0 is zero and stands for nothing. */
interface Table {
  width: number;
  /** The most rows that the device allows. */
  maxRows: number;
  /** The number of rows given out so far, row 0 included. */
  rowCount: number;
  free: number[];
}

/** A base and the adapters on it. */
export class AdapterBank {
  readonly #baseDir: string;
  readonly #config: ModelConfig;
  readonly #tokenizer: Tokenizer;
  readonly #session: TableSession;
  readonly #tables: ByTable<Table>;
  readonly #budgetBytes: number;
  /** The rows of the base's own pooler, for the adapters without one in a bank of poolers. */
  #ownPooler: number[] | undefined;
  #baseSha256: string | undefined;
  readonly #entries = new Map<string, Entry>();

  private constructor(
    baseDir: string,
    config: ModelConfig,
    tokenizer: Tokenizer,
    session: TableSession,
    tables: ByTable<Table>,
    budgetBytes: number,
  ) {
    this.#baseDir = baseDir;
    this.#config = config;
    this.#tokenizer = tokenizer;
    this.#session = session;
    this.#tables = tables;
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
    { memoryBudgetBytes = DEFAULT_BUDGET_BYTES, dtype = "fp32", tables: own }: AdapterBankOptions =
      {},
  ): Promise<AdapterBank> {
    const config = await readConfig(baseDir);
    const tokenizer = await Tokenizer.load(baseDir, config.vocab_size);
    const widths = new Map([...commonTables(config), ...own ?? []]);
    const weights = await readBaseWeights(baseDir, config, { needsPooler: !widths.has(POOLERS) });
    const session = await executor.loadTableSession(
      bankModel(config, weights, dtype, widths),
      [...widths].map(([name, width]) => ({ name, width, indices: indicesOf(name) })),
    );
    const tables = new Map<string, Table>();
    for (const [name, width] of widths) {
      tables.set(name, { width, maxRows: await session.maxRows(name), rowCount: 1, free: [] });
    }
    const bank = new AdapterBank(baseDir, config, tokenizer, session, tables, memoryBudgetBytes);
    const hasPooler = poolerParameters(config).every(({ name }) => name in weights);
    if (widths.has(POOLERS) && hasPooler) {
      const { width, values } = poolerRows(config, weights);
      bank.#ownPooler = bank.#takeRows(POOLERS, values.length / width);
      await session.writeRows(POOLERS, bank.#ownPooler, values);
    }
    return bank;
  }

  /** The number of adapters. */
  get size(): number {
    return this.#entries.size;
  }

  /** The memory of all adapters, in bytes. */
  get bytes(): number {
    return this.#entries.values().reduce(
      (sum, { rows }) => sum + this.#bytesOf(new Map([...rows].map(([k, v]) => [k, v.length]))),
      0,
    );
  }

  /**
   * Adds an adapter, for which the bank must have tables, under a name of its own.
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
    const needed = new Map([
      ...Object.entries(method.bankRows(peft, this.#config, weights)),
      ...ownsPooler(config, peft) ? [[POOLERS, poolerRows(config, weights)] as const] : [],
      ...headRows(config, weights),
    ]);
    if (this.#tables.has(POOLERS) && !needed.has(POOLERS) && this.#ownPooler === undefined) {
      throw new UserError(
        `Cannot use '${adapter.dir}' on '${this.#baseDir}': neither of them has a pooler`,
      );
    }
    const counts = new Map(
      [...needed].map(([table, { width, values }]) => [table, values.length / width]),
    );
    this.#checkRoom(adapter, counts);
    const rows = new Map(
      [...counts].map(([table, count]) => [table, this.#takeRows(table, count)]),
    );
    // The executor keeps the order of its calls: a batch that comes now finds these rows written.
    const writes = [...needed].map(([table, { values }]) =>
      this.#session.writeRows(table, rows.get(table)!, values)
    );
    const entry: Entry = {
      ...problemOf(config),
      virtualTokens: method.virtualTokens(peft),
      tokenizer: adaptedTokenizer(adapter, this.#tokenizer, config),
      partner: adapter.partner,
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

  /** The digest of the base, which takes a while to compute; a failure is not kept. */
  async #weightsSha256(): Promise<string> {
    return this.#baseSha256 ??= await weightsSha256(this.#baseDir);
  }

  /** Removes an adapter; batches that have begun are not affected. */
  remove(name: string): void {
    const { rows } = this.#entry(name);
    this.#entries.delete(name);
    for (const [table, numbers] of rows) this.#tables.get(table)!.free.push(...numbers);
  }

  /** An adapter of the bank. */
  get(name: string): BankedAdapter {
    return this.#entry(name);
  }

  /** The logits of texts that go through the base together, in their order. */
  async logits(batch: readonly BankRow[]): Promise<Float32Array[]> {
    const entries = batch.map(({ adapter }) => this.#entry(adapter));
    const { logits } = await this.#session.run(this.#feeds(batch, entries));
    const width = Math.max(...entries.map(({ labels }) => labels.length));
    const rows = logitRows(logits, batch.length, width);
    return entries.map(({ labels }, row) =>
      withPartner(rows[row]!.slice(0, labels.length), batch[row]!)
    );
  }

  /** Frees the memory of the base and its adapters. */
  release(): Promise<void> {
    return this.#session.release();
  }

  /** A prompt's virtual tokens become the first of a row; a prefix moves a text's positions. */
  #feeds(batch: readonly BankRow[], entries: readonly Entry[]): Record<string, TensorData> {
    const rowsOf = (table: string) =>
      entries.map(({ rows }) =>
        rows.get(table) ?? (table === POOLERS ? this.#ownPooler : undefined) ?? []
      );
    const prompts = rowsOf(PROMPTS);
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
    const prefixes = rowsOf(PREFIXES);
    /** The same number of rows for each text, filled up with row 0. */
    const indices = (rows: number[][], count = Math.max(1, ...rows.map(({ length }) => length))) =>
      rows.map((row) => padded(row, count));
    const others = [...this.#tables.keys()].filter((table) => table !== PROMPTS);
    return {
      ...feeds,
      position_ids: integers(prefixes.map((rows) =>
        // Padding may reach beyond the last position; nothing attends to it.
        Array.from({ length }, (_, i) => first + Math.min(rows.length + i, count - 1))
      )),
      word_mask: floats(wordMask),
      prefix_mask: floats(indices(prefixes.map((rows) => rows.map(() => 1)))),
      [indicesOf(PROMPTS)]: integers(indices(prompts, length)),
      ...Object.fromEntries(
        others.map((table) => [indicesOf(table), integers(indices(rowsOf(table)))]),
      ),
    };
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new RangeError(`There is no adapter '${name}'`);
    return entry;
  }

  #checkRoom({ dir }: StoredAdapter, counts: ByTable<number>): void {
    const needed = this.#bytesOf(counts);
    const left = this.#budgetBytes - this.bytes;
    if (needed > left) {
      throw new BankFullError(
        `Cannot add '${dir}' to the adapters in memory: it takes ${kilobytes(needed)}, ` +
          `and of ${kilobytes(this.#budgetBytes)} there are ${kilobytes(left)} left`,
      );
    }
    for (const [table, count] of counts) {
      const { maxRows, rowCount, free } = this.#tables.get(table)!;
      const rows = maxRows - rowCount + free.length;
      if (count <= rows) continue;
      throw new BankFullError(
        `Cannot add '${dir}' to the adapters in memory: its ${table} take ${count} rows ` +
          `of a table, and of ${maxRows} that the device can hold there are ${rows} left`,
      );
    }
  }

  #takeRows(name: string, count: number): number[] {
    const table = this.#tables.get(name)!;
    const rows = table.free.splice(0, count);
    while (rows.length < count) rows.push(table.rowCount++);
    return rows;
  }

  #bytesOf(counts: ByTable<number>): number {
    return counts.entries()
      .reduce((sum, [table, count]) => sum + count * this.#tables.get(table)!.width * BYTES, 0);
  }
}

/** The tables that adapters have rows in, with the number of values of a row. */
export function tablesOf(
  adapters: readonly StoredAdapter[],
  config: ModelConfig,
): Map<string, number> {
  const tables = adapters
    .flatMap(({ peft, weights }) => Object.entries(methodOf(peft).bankRows(peft, config, weights)))
    .map(([table, { width }]): [string, number] => [table, width]);
  const pooler = familyOf(config).pooler?.(config);
  if (pooler !== undefined && adapters.some(({ peft }) => ownsPooler(config, peft))) {
    tables.push([POOLERS, rowWidth(config, pooler)]);
  }
  return new Map(tables);
}

/** The tables that every bank has, with the number of values of a row. */
function commonTables(config: ModelConfig): Map<string, number> {
  const sizes = sizesOf(config);
  const family = familyOf(config);
  return new Map([
    ...family.takesPrefix ? [[PREFIXES, prefixWidth(sizes)] as const] : [],
    [PROMPTS, family.sizes(config).embedding_size ?? sizes.token_dim],
    ...family.head(config)
      .map((layer, index): [string, number] => [headTable(index), rowWidth(config, layer)]),
  ]);
}

/** The graph of the base, which gathers each row's values from the tables. */
function bankModel(
  config: ModelConfig,
  weights: Weights,
  dtype: Dtype,
  widths: ByTable<number>,
): Uint8Array {
  const graph = new Graph();
  /** `[batch, count, width]` */
  const gathered = (table: string, count: Dimension) =>
    gather(
      graph.input(table, "float32", [`${table}_rows`, widths.get(table)!]),
      graph.input(indicesOf(table), "int64", ["batch", count]),
    );
  const prefix = widths.has(PREFIXES) ? gathered(PREFIXES, "prefix") : undefined;
  const changes = new Map<string, Tensor>();
  const project = mixedProjection(config, (table) => {
    if (!widths.has(table)) return undefined;
    const known = changes.get(table) ?? gathered(table, `${table}_rank`);
    changes.set(table, known);
    return known;
  });
  const logits = classifierLogits(graph, {
    config,
    parameter: (name, shape) =>
      graph.initializer(name, { type: "float32", shape, data: weights[name]! }),
    virtualTokens: prefix && { prefix },
    project,
    mixedRows: {
      positionIds: graph.input("position_ids", "int64", ["batch", "length"]),
      prefixMask: graph.input("prefix_mask", "float32", ["batch", "prefix"]),
      withPrompts: (words) => {
        const mask = graph.input("word_mask", "float32", ["batch", "length"]);
        return add(mul(words, reshape(mask, ["batch", "length", 1])), gathered(PROMPTS, "length"));
      },
      pooler: widths.has(POOLERS)
        ? (x, layer) => mixedLayer(x, layer, gathered(POOLERS, x.shape[1]!), project)
        : undefined,
      heads: (pooled) => {
        const layers = familyOf(config).head(config);
        return layers.reduce((x, layer, index) => {
          const to = index === layers.length - 1 ? "labels" : x.shape[1]!;
          return mixedLayer(x, layer, gathered(headTable(index), to));
        }, pooled);
      },
    },
  });
  graph.output("logits", logits);
  if (dtype === "q8") quantizeEncoder(graph, config);
  return encodeModel(graph);
}

/**
 * A layer with the parameters of each text: `x [batch, from]` -> `[batch, to]`.
 *
 * @param rows As {@link layerRows} has them, `[batch, to, width]`.
 * @param project Changes the output of the layer.
 */
function mixedLayer(
  x: Tensor,
  { name, activation, norm }: HeadLayer,
  rows: Tensor,
  project?: Projection,
): Tensor {
  const from = x.shape[1] as number;
  const to = rows.shape[1]!;
  const column = (place: number) => slice(rows, 2, from + place, from + place + 1);
  const products = matMul(slice(rows, 2, 0, from), reshape(x, ["batch", from, 1]));
  const sums = reshape(add(products, column(0)), ["batch", to]);
  const projected = project?.(sums, x, name) ?? sums;
  const activated = activation?.(projected) ?? projected;
  if (norm === undefined) return activated;
  const constants = (value: number) => expand(x.graph.scalar(value), [to]);
  const normalized = layerNormalization(activated, constants(1), constants(0), norm.epsilon);
  const [scales, offsets] = [column(1), column(2)].map((values) => reshape(values, ["batch", to]));
  return add(mul(normalized, scales!), offsets!);
}

/** The number of values of a row of a layer's table. */
function rowWidth(config: ModelConfig, { norm }: HeadLayer): number {
  return familyOf(config).sizes(config).hidden_size + (norm === undefined ? 1 : 3);
}

/**
 * A layer with a row for each output, `[to, width]`: its weights, its bias, and the scale and offset
 * of the normalisation behind it, if there is one.
 */
function layerRows(config: ModelConfig, layer: HeadLayer, weights: Weights): BankRows {
  const { name, norm } = layer;
  const { hidden_size: from } = familyOf(config).sizes(config);
  const weight = weights[`${name}.weight`]!;
  const columns = [
    weights[`${name}.bias`],
    ...norm ? [weights[`${norm.name}.weight`], weights[`${norm.name}.bias`]] : [],
  ];
  const width = rowWidth(config, layer);
  const to = weight.length / from;
  const values = new Float32Array(to * width);
  for (let output = 0; output < to; output++) {
    const start = output * width;
    values.set(weight.subarray(output * from, (output + 1) * from), start);
    for (const [i, column] of columns.entries()) values[start + from + i] = column?.[output] ?? 0;
  }
  return { width, values };
}

function headRows(config: ModelConfig, weights: Weights): [table: string, rows: BankRows][] {
  return familyOf(config).head(config)
    .map((layer, index) => [headTable(index), layerRows(config, layer, weights)]);
}

function poolerRows(config: ModelConfig, weights: Weights): BankRows {
  return layerRows(config, familyOf(config).pooler!(config), weights);
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
