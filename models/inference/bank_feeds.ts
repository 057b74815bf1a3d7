/**
 * The inputs of a bank's graph for a batch of texts.
 *
 * @module
 */
import { collate } from "../../data/batches.ts";
import type { TensorData } from "../../onnx/graph/graph.ts";
import { familyOf } from "../family.ts";
import type { ModelConfig } from "../formats/config.ts";
import type { EncodedText } from "./inference.ts";
import { indicesOf, PREFIXES, PROMPTS } from "./bank_tables.ts";

/**
 * Makes the inputs. A prompt's virtual tokens become the first of a row; a prefix moves a text's
 * positions.
 *
 * @param tables The names of the bank's tables.
 * @param rowsOf The rows of a table for each text: `[batch][rows]`.
 */
export function bankFeeds(
  batch: readonly EncodedText[],
  config: ModelConfig,
  tables: readonly string[],
  rowsOf: (table: string) => number[][],
): Record<string, TensorData> {
  const prompts = rowsOf(PROMPTS);
  const prefixes = rowsOf(PREFIXES);
  const tokens = tokensOf(batch, prompts, config);
  const length = tokens.input_ids.shape[1]!;
  const wordMask = prompts.map((rows) => padded(rows.map(() => 0), length, 1));
  const others = tables.filter((table) => table !== PROMPTS);
  return {
    ...tokens,
    position_ids: integers(positionsOf(prefixes, length, config)),
    word_mask: floats(wordMask),
    prefix_mask: floats(alike(prefixes.map((rows) => rows.map(() => 1)))),
    [indicesOf(PROMPTS)]: integers(alike(prompts, length)),
    ...Object.fromEntries(
      others.map((table) => [indicesOf(table), integers(alike(rowsOf(table)))]),
    ),
  };
}

/** The token ids behind a prompt's places, their types and the mask. */
function tokensOf(batch: readonly EncodedText[], prompts: number[][], config: ModelConfig) {
  const ids = batch.map(({ ids }, row) => [...prompts[row]!.map(() => 0), ...ids]);
  const tokens = collate(ids, config.pad_token_id);
  const length = tokens.input_ids.shape[1]!;
  for (const [row, { secondStart }] of batch.entries()) {
    if (secondStart === undefined) continue;
    const start = row * length;
    (tokens.token_type_ids.data as BigInt64Array)
      .fill(1n, start + prompts[row]!.length + secondStart, start + ids[row]!.length);
  }
  return tokens;
}

function positionsOf(prefixes: number[][], length: number, config: ModelConfig): number[][] {
  const { first, count } = familyOf(config).positions(config);
  return prefixes.map((rows) =>
    // Padding may reach beyond the last position; nothing attends to it.
    Array.from({ length }, (_, i) => first + Math.min(rows.length + i, count - 1))
  );
}

/** The same number of rows for each text, filled up with row 0. */
function alike(
  rows: number[][],
  count = Math.max(1, ...rows.map(({ length }) => length)),
): number[][] {
  return rows.map((row) => padded(row, count));
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
