/**
 * Reads tables row by row, in little memory: CSV, TSV (`.tsv`, `.tab`) and JSON Lines (`.jsonl`,
 * `.ndjson`). Faults name the file and the line.
 *
 * @module
 */
import { CsvError, parse } from "csv-parse";
import { extname } from "node:path";
import { pipeline, Readable } from "node:stream";
import { MAX_LINE_BYTES, readError, textBlocks } from "./text_blocks.ts";

/** One row of a table. */
export interface TableRow {
  /** The fields by column. */
  values: Record<string, string>;
  /** The line on which the row ends, counted from 1. */
  line: number;
}

/** What {@link readRows} may be told. */
export interface ReadRowsOptions {
  /** Called with each piece of the file as it is read. */
  onBytes?: (bytes: Uint8Array) => void;
}

/**
 * Reads the rows of a table in UTF-8, with or without a byte-order mark, with LF or CRLF. Only the
 * wanted columns are kept.
 *
 * @param columns The names of the wanted columns.
 * @throws {UserError} If the file is missing, empty or malformed, or lacks a column.
 */
export async function* readRows(
  file: string,
  columns: readonly string[],
  { onBytes = () => {} }: ReadRowsOptions = {},
): AsyncGenerator<TableRow> {
  const blocks = textBlocks(file, onBytes);
  const extension = extname(file).toLowerCase();
  const isJson = extension === ".jsonl" || extension === ".ndjson";
  const rows = isJson
    ? jsonRows(file, columns, blocks)
    : delimitedRows(file, columns, blocks, [".tsv", ".tab"].includes(extension) ? "\t" : ",");
  let isEmpty = true;
  for await (const row of rows) {
    isEmpty = false;
    yield row;
  }
  if (isEmpty) {
    throw readError(file, `expected ${isJson ? "" : "a header line and "}at least one row`);
  }
}

async function* delimitedRows(
  file: string,
  columns: readonly string[],
  blocks: AsyncIterable<string>,
  delimiter: string,
): AsyncGenerator<TableRow> {
  // Of the last whole row: where a quote never ends the parser itself stands far from the fault.
  let lastLine = 1;
  const parser = parse({
    delimiter,
    // Otherwise the first line's end would be expected of all.
    record_delimiter: ["\r\n", "\n", "\r"],
    skip_empty_lines: true,
    max_record_size: MAX_LINE_BYTES,
    columns: (header: string[]) => {
      requireColumns(file, columns, header);
      return header.map((name) => columns.includes(name) ? name : false);
    },
    on_record: (values: Record<string, string>, { lines }): TableRow => {
      lastLine = lines;
      return { values, line: lines };
    },
  });
  // The iteration below meets every error.
  pipeline(Readable.from(blocks), parser, () => {});
  try {
    yield* parser as AsyncIterable<TableRow>;
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const opensQuote = ["CSV_QUOTE_NOT_CLOSED", "CSV_MAX_RECORD_SIZE"].includes(error.code);
    throw readError(file, csvRule(error), opensQuote ? lastLine + 1 : Number(error["lines"]));
  }
}

function csvRule(error: CsvError): string {
  switch (error.code) {
    case "CSV_RECORD_INCONSISTENT_COLUMNS": {
      const expected = (error["columns"] as unknown[]).length;
      return `expected ${expected} fields, got ${(error["record"] as unknown[]).length}`;
    }
    case "CSV_QUOTE_NOT_CLOSED":
      return "a quote is opened and never closed";
    case "CSV_MAX_RECORD_SIZE":
      return "the row is longer than 16 MiB; a quote may be opened and never closed";
    case "CSV_INVALID_CLOSING_QUOTE":
    case "INVALID_OPENING_QUOTE":
      return "a quote stands inside a field; fields with quotes must be quoted and double them";
    default:
      return error.message;
  }
}

async function* jsonRows(
  file: string,
  columns: readonly string[],
  blocks: AsyncIterable<string>,
): AsyncGenerator<TableRow> {
  let line = 0;
  for await (const block of blocks) {
    // A block ends with its last line's end, but for the last block.
    for (const text of block.replace(/\n$/, "").split("\n")) {
      line++;
      if (text.trim() !== "") yield { values: jsonValues(file, columns, text, line), line };
    }
  }
}

function jsonValues(
  file: string,
  columns: readonly string[],
  text: string,
  line: number,
): Record<string, string> {
  let json: unknown;
  try {
    json = JSON.parse(text, keepDigits);
  } catch {
    throw readError(file, "it is not JSON", line);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw readError(file, "expected an object", line);
  }
  requireColumns(file, columns, Object.keys(json), line);
  return Object.fromEntries(columns.map((column) => {
    const value = (json as Record<string, unknown>)[column];
    if (typeof value === "object" && value !== null) {
      throw readError(file, `expected '${column}' to be a text, a number or a boolean`, line);
    }
    return [column, value === null ? "" : String(value)];
  }));
}

/** A number that a float64 would round, such as a long id, stays the text that it is. */
function keepDigits(_key: string, value: unknown, context?: { source?: string }): unknown {
  const isExact = typeof value !== "number" || Number.isSafeInteger(value) ||
    !/^-?\d+$/.test(context?.source ?? "");
  return isExact ? value : context!.source;
}

function requireColumns(
  file: string,
  columns: readonly string[],
  found: readonly string[],
  line?: number,
): void {
  const repeated = columns.find((column) => found.indexOf(column) !== found.lastIndexOf(column));
  if (repeated !== undefined) {
    throw readError(file, `expected one column '${repeated}', found several`, line);
  }
  const missing = columns.find((column) => !found.includes(column));
  if (missing === undefined) return;
  const names = found.map((name) => `'${name}'`).join(", ");
  throw readError(file, `expected a column '${missing}', found ${names}`, line);
}
