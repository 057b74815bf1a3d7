/**
 * One base with many adapters on it: each row of a batch goes through the base with the virtual
 * tokens and the head of its own adapter. Adapters come and go while the base stays loaded.
 *
 * @module
 */
import type { ProblemType } from "../../data/labels.ts";
import { UserError } from "../../lib/user_error.ts";
import type { Executor, TableSession } from "../../onnx/runtime/executor.ts";
import { readConfig } from "../family.ts";
import {
  adaptedConfig,
  adaptedTokenizer,
  checkBase,
  readBaseWeights,
  type StoredAdapter,
} from "../formats/adapter.ts";
import { type ModelConfig, problemOf } from "../formats/config.ts";
import { weightsSha256 } from "../formats/weight_files.ts";
import type { PooledPartner } from "../partner/partner_file.ts";
import { Tokenizer } from "../text/tokenizer.ts";
import { type BankRows, methodOf } from "../tuners/tuner.ts";
import type { Dtype } from "../onnx_model.ts";
import { ownsPooler, poolerParameters } from "../parameters.ts";
import type { Weights } from "../weights.ts";
import { type EncodedText, logitRows, withPartner } from "./inference.ts";
import { bankFeeds } from "./bank_feeds.ts";
import { bankModel } from "./bank_graph.ts";
import { headRows, poolerRows } from "./bank_rows.ts";
import { BankTables, type ByTable, commonTables, indicesOf, POOLERS } from "./bank_tables.ts";

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
  /** The tables for adapters to come, beside those that every bank has; see `tablesOf`. */
  tables?: ReadonlyMap<string, number> | undefined;
}

const DEFAULT_BUDGET_BYTES = 2 ** 28;

/** The rows of an adapter in the tables. */
interface Entry extends BankedAdapter {
  rows: ByTable<number[]>;
}

/** A base and the adapters on it. */
export class AdapterBank {
  readonly #baseDir: string;
  readonly #config: ModelConfig;
  readonly #tokenizer: Tokenizer;
  readonly #session: TableSession;
  readonly #tables: BankTables;
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
    tables: BankTables,
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
    const tables = await BankTables.of(session, widths);
    const bank = new AdapterBank(baseDir, config, tokenizer, session, tables, memoryBudgetBytes);
    await bank.#writeOwnPooler(weights);
    return bank;
  }

  /** The number of adapters. */
  get size(): number {
    return this.#entries.size;
  }

  /** The memory of all adapters, in bytes. */
  get bytes(): number {
    return this.#entries.values().reduce(
      (sum, { rows }) => sum + this.#tables.bytesOf(countsOf(rows)),
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
    const config = adaptedConfig(adapter, this.#config);
    await checkBase(adapter, this.#baseDir, () => this.#weightsSha256());
    if (this.#entries.has(name)) throw new RangeError(`There is an adapter '${name}' already`);
    const needed = this.#rowsOf(adapter, config);
    const rows = this.#takeRows(adapter, needed);
    // The executor keeps the order of its calls: a batch that comes now finds these rows written.
    const writes = [...needed].map(([table, { values }]) =>
      this.#session.writeRows(table, rows.get(table)!, values)
    );
    const entry: Entry = {
      ...problemOf(config),
      virtualTokens: methodOf(adapter.peft).virtualTokens(adapter.peft),
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

  /** Removes an adapter; batches that have begun are not affected. */
  remove(name: string): void {
    const { rows } = this.#entry(name);
    this.#entries.delete(name);
    this.#tables.give(rows);
  }

  /** An adapter of the bank. */
  get(name: string): BankedAdapter {
    return this.#entry(name);
  }

  /** The logits of texts that go through the base together, in their order. */
  async logits(batch: readonly BankRow[]): Promise<Float32Array[]> {
    const entries = batch.map(({ adapter }) => this.#entry(adapter));
    const rowsOf = (table: string) =>
      entries.map(({ rows }) =>
        rows.get(table) ?? (table === POOLERS ? this.#ownPooler : undefined) ?? []
      );
    const feeds = bankFeeds(batch, this.#config, this.#tables.names, rowsOf);
    const { logits } = await this.#session.run(feeds);
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

  #entry(name: string): Entry {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new RangeError(`There is no adapter '${name}'`);
    return entry;
  }

  /** Writes the pooler of the base, if the bank has poolers and the base one. */
  async #writeOwnPooler(weights: Weights): Promise<void> {
    const hasPooler = poolerParameters(this.#config).every(({ name }) => name in weights);
    if (!this.#tables.has(POOLERS) || !hasPooler) return;
    const { width, values } = poolerRows(this.#config, weights);
    this.#ownPooler = this.#tables.take(POOLERS, values.length / width);
    await this.#session.writeRows(POOLERS, this.#ownPooler, values);
  }

  /**
   * The values of an adapter, by table.
   *
   * @throws {UserError} If the bank has poolers, and neither the adapter nor the base has one.
   */
  #rowsOf({ dir, peft, weights }: StoredAdapter, config: ModelConfig): Map<string, BankRows> {
    const rows = new Map([
      ...Object.entries(methodOf(peft).bankRows(peft, this.#config, weights)),
      ...ownsPooler(config, peft) ? [[POOLERS, poolerRows(config, weights)] as const] : [],
      ...headRows(config, weights),
    ]);
    if (this.#tables.has(POOLERS) && !rows.has(POOLERS) && this.#ownPooler === undefined) {
      throw new UserError(
        `Cannot use '${dir}' on '${this.#baseDir}': neither of them has a pooler`,
      );
    }
    return rows;
  }

  /** @throws {BankFullError} If there are not enough rows, or not enough memory for them. */
  #takeRows({ dir }: StoredAdapter, needed: ByTable<BankRows>): Map<string, number[]> {
    const counts = new Map(
      [...needed].map(([table, { width, values }]) => [table, values.length / width]),
    );
    const bytes = this.#tables.bytesOf(counts);
    const left = this.#budgetBytes - this.bytes;
    if (bytes > left) {
      throw new BankFullError(
        `Cannot add '${dir}' to the adapters in memory: it takes ${kilobytes(bytes)}, ` +
          `and of ${kilobytes(this.#budgetBytes)} there are ${kilobytes(left)} left`,
      );
    }
    const shortage = this.#tables.shortage(counts);
    if (shortage !== undefined) {
      const { table, count, left, maxRows } = shortage;
      throw new BankFullError(
        `Cannot add '${dir}' to the adapters in memory: its ${table} take ${count} rows ` +
          `of a table, and of ${maxRows} that the device can hold there are ${left} left`,
      );
    }
    return new Map([...counts].map(([table, count]) => [table, this.#tables.take(table, count)]));
  }

  /** The digest of the base, which takes a while to compute; a failure is not kept. */
  async #weightsSha256(): Promise<string> {
    return this.#baseSha256 ??= await weightsSha256(this.#baseDir);
  }
}

function countsOf(rows: ByTable<readonly number[]>): Map<string, number> {
  return new Map([...rows].map(([table, numbers]) => [table, numbers.length]));
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1e3).toFixed(1)} kB`;
}
