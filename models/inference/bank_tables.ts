/**
 * The tables of a bank of adapters: one for each kind of values, such as prefixes, or the weights of
 * a head's layer. Each text of a batch takes the rows of its adapter from them.
 *
 * @module
 */
import type { TableSession } from "../../onnx/runtime/executor.ts";
import { familyOf, type HeadLayer } from "../family.ts";
import type { StoredAdapter } from "../formats/adapter.ts";
import type { ModelConfig } from "../formats/config.ts";
import { prefixWidth } from "../tuners/prefix.ts";
import { methodOf } from "../tuners/tuner.ts";
import { sizesOf } from "../tuners/virtual_tokens.ts";
import { ownsPooler } from "../parameters.ts";

/** The table of prefixes, which families have that take one. */
export const PREFIXES = "prefixes";
/** The table of prompts. */
export const PROMPTS = "prompts";
/** The table of poolers, in banks with an adapter that has one of its own. */
export const POOLERS = "poolers";

/** The tables that every bank has beside those of its heads. */
export const COMMON_TABLES: readonly string[] = [PREFIXES, PROMPTS];

/** The name of the table of a layer of the heads. */
export function headTable(layer: number): string {
  return `heads_${layer}`;
}

/** The name of the graph input with the rows to take from a table. */
export function indicesOf(table: string): string {
  return `${table}_ids`;
}

/** Values by the names of tables. */
export type ByTable<Value> = ReadonlyMap<string, Value>;

/** The number of values of a row of a layer's table. */
export function rowWidth(config: ModelConfig, { norm }: HeadLayer): number {
  return familyOf(config).sizes(config).hidden_size + (norm === undefined ? 1 : 3);
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
export function commonTables(config: ModelConfig): Map<string, number> {
  const sizes = sizesOf(config);
  const family = familyOf(config);
  return new Map([
    ...family.takesPrefix ? [[PREFIXES, prefixWidth(sizes)] as const] : [],
    [PROMPTS, family.sizes(config).embedding_size ?? sizes.token_dim],
    ...family.head(config)
      .map((layer, index): [string, number] => [headTable(index), rowWidth(config, layer)]),
  ]);
}

/** A table; row 0 is zero and stands for nothing. */
interface Table {
  width: number;
  /** The most rows that the device allows. */
  maxRows: number;
  /** The number of rows given out so far, row 0 included. */
  rowCount: number;
  free: number[];
}

/** A table that lacks room. */
export interface Shortage {
  table: string;
  /** The rows that are needed. */
  count: number;
  /** The rows that are left. */
  left: number;
  /** The most rows that the device can hold. */
  maxRows: number;
}

const BYTES = Float32Array.BYTES_PER_ELEMENT;

/** Gives out the rows of tables on a device, and takes them back. */
export class BankTables {
  readonly #tables: ByTable<Table>;

  private constructor(tables: ByTable<Table>) {
    this.#tables = tables;
  }

  /**
   * Asks the device how many rows its tables can have.
   *
   * @param widths The tables, with the number of values of a row.
   */
  static async of(session: TableSession, widths: ByTable<number>): Promise<BankTables> {
    const tables = new Map<string, Table>();
    for (const [name, width] of widths) {
      tables.set(name, { width, maxRows: await session.maxRows(name), rowCount: 1, free: [] });
    }
    return new BankTables(tables);
  }

  /** The tables' names. */
  get names(): string[] {
    return [...this.#tables.keys()];
  }

  /** Whether there is a table of this name. */
  has(name: string): boolean {
    return this.#tables.has(name);
  }

  /** The memory of some rows of each table, in bytes. */
  bytesOf(counts: ByTable<number>): number {
    return counts.entries()
      .reduce((sum, [name, count]) => sum + count * this.#tables.get(name)!.width * BYTES, 0);
  }

  /** The first table that has not as many rows left; `undefined` if all have. */
  shortage(counts: ByTable<number>): Shortage | undefined {
    for (const [table, count] of counts) {
      const { maxRows, rowCount, free } = this.#tables.get(table)!;
      const left = maxRows - rowCount + free.length;
      if (count > left) return { table, count, left, maxRows };
    }
    return undefined;
  }

  /** Gives out rows of a table, which must have them left. */
  take(name: string, count: number): number[] {
    const table = this.#tables.get(name)!;
    const rows = table.free.splice(0, count);
    while (rows.length < count) rows.push(table.rowCount++);
    return rows;
  }

  /** Takes rows back. */
  give(rows: ByTable<readonly number[]>): void {
    for (const [name, numbers] of rows) this.#tables.get(name)!.free.push(...numbers);
  }
}
