/**
 * Reads tables row by row, in little memory: CSV with any delimiter, TSV (`.tsv`, `.tab`) and JSON
 * Lines (`.jsonl`, `.ndjson`, `.json`). Faults name the file and the line.
 *
 * @module
 */
import { basename, extname } from "node:path";
import { count, listOf } from "../lib/format.ts";
import { BadRows } from "./bad_rows.ts";
import { DelimitedRows, DELIMITERS } from "./delimited.ts";
import { joinClassNames } from "./labels.ts";
import { readError, textBlocks } from "./text_blocks.ts";
import { UserError } from "../lib/user_error.ts";

/** A row of a table. */
export interface TableRow {
  /** The fields by column. */
  values: Record<string, string>;
  /** The line on which the row begins, counted from 1. */
  line: number;
}

/** The format of a table, where the file alone does not tell it. */
export interface TableFormat {
  /** The delimiter between two fields: one character or `tab`; by default it is found. */
  delimiter?: string | undefined;
  /** The encoding; by default UTF-8, or that of the byte-order mark. */
  encoding?: string | undefined;
}

/** Options of {@link openTable}. */
export interface TableOptions extends TableFormat {
  /** The columns that are wanted, where they are known: a delimiter that gives them is right. */
  wanted?: readonly string[];
  /** Called with each piece of the file as it is read. */
  onBytes?: (bytes: Uint8Array) => void;
  /** Called with notes for the user on how the file was read. */
  onNote?: (note: string) => void;
}

/** Options of {@link Table.rows}. */
export interface RowsOptions {
  /** Collects the rows that break a rule; without it they are an error when all have been read. */
  badRows?: BadRows;
  /** Columns in which JSON Lines may have lists: they become names joined by `|`. */
  lists?: readonly string[];
  /**
   * Wanted columns that are only carried along: in JSON Lines a row may lack them, and their lists
   * and objects become JSON.
   */
  carried?: readonly string[];
}

/** A table that is being read. */
export interface Table extends AsyncDisposable {
  /** The names of its columns; in JSON Lines those of the first row. */
  readonly columns: readonly string[];
  /**
   * Reads the rows and keeps only their wanted columns. May be called once.
   *
   * @throws {UserError} If the table has no row, a bad row, or lacks a column.
   */
  rows(wanted: readonly string[], options?: RowsOptions): AsyncGenerator<TableRow>;
}

const JSON_EXTENSIONS = [".jsonl", ".ndjson", ".json"];
const TAB_EXTENSIONS = [".tsv", ".tab"];

/** The extensions of tables' names, the usual first. */
export const TABLE_EXTENSIONS: readonly string[] = [".csv", ...TAB_EXTENSIONS, ...JSON_EXTENSIONS];

/** The extension of tables that come with a media type. */
export const MEDIA_TYPES: ReadonlyMap<string, string> = new Map([
  ["text/csv", ".csv"],
  ["application/csv", ".csv"],
  // A browser's name for it where Excel is installed.
  ["application/vnd.ms-excel", ".csv"],
  // Defaults of programs; the last is that of `curl --data-binary`.
  ["", ".csv"],
  ["text/plain", ".csv"],
  ["application/octet-stream", ".csv"],
  ["application/x-www-form-urlencoded", ".csv"],
  ["text/tab-separated-values", ".tsv"],
  ["application/jsonl", ".jsonl"],
  ["application/x-ndjson", ".jsonl"],
]);

/** The most rows that are read to find the delimiter. */
const SNIFFED_ROWS = 100;

/**
 * Opens a table, with or without a byte-order mark, with LF or CRLF.
 *
 * @throws {UserError} If the file is missing, empty or not text.
 */
export async function openTable(file: string, options: TableOptions = {}): Promise<Table> {
  const blocks = textBlocks(file, { canNameEncoding: true, ...options });
  const isJson = JSON_EXTENSIONS.includes(extname(file).toLowerCase());
  return isJson ? await JsonLines.open(file, blocks) : await Delimited.open(file, blocks, options);
}

/**
 * Reads the rows of a table; {@link openTable} and {@link Table.rows} say how.
 *
 * @param columns The names of the wanted columns.
 */
export async function* readRows(
  file: string,
  columns: readonly string[],
  options: TableOptions & RowsOptions = {},
): AsyncGenerator<TableRow> {
  await using table = await openTable(file, { wanted: columns, ...options });
  yield* table.rows(columns, options);
}

/** A table whose fields stand between delimiters. */
class Delimited implements Table {
  readonly columns: readonly string[];
  readonly #file: string;
  readonly #blocks: AsyncGenerator<string>;
  readonly #rows: DelimitedRows;
  readonly #onNote: (note: string) => void;

  private constructor(
    file: string,
    blocks: AsyncGenerator<string>,
    rows: DelimitedRows,
    columns: readonly string[],
    onNote: (note: string) => void,
  ) {
    this.#file = file;
    this.#blocks = blocks;
    this.#rows = rows;
    this.columns = columns;
    this.#onNote = onNote;
  }

  static async open(
    file: string,
    blocks: AsyncGenerator<string>,
    { delimiter, wanted = [], onNote = () => {} }: TableOptions,
  ): Promise<Delimited> {
    const first: string = (await blocks.next()).value ?? "";
    // Excel's own line for a delimiter other than the locale's.
    const [separatorLine = "", separator] = /^"?sep=(.)"?\r?\n/i.exec(first) ?? [];
    const start = first.slice(separatorLine.length);
    if (/^\s*(\{\s*"|\[\s*[{[])/.test(start)) {
      await blocks.return(undefined);
      throw readError(
        file,
        "it is JSON; a table of one object a line has a name in .jsonl, and is sent as " +
          "application/jsonl",
      );
    }
    const usual = TAB_EXTENSIONS.includes(extname(file).toLowerCase()) ? "\t" : ",";
    const chosen = delimiter === undefined
      ? separator ?? await findDelimiter(start, usual, wanted)
      : parseDelimiter(delimiter);
    if (delimiter === undefined && chosen !== usual) {
      onNote(`'${basename(file)}' has ${delimiterName(chosen)} between its columns`);
    }
    const rows = new DelimitedRows(
      startingWith(start, blocks),
      chosen,
      separatorLine === "" ? 1 : 2,
    );
    const header = await rows.next();
    if (header?.fault !== undefined) {
      await blocks.return(undefined);
      throw readError(file, header.fault, header.line);
    }
    const columns = header?.fields.map((name) => name.trim()) ?? [];
    return new Delimited(file, blocks, rows, columns, onNote);
  }

  async *rows(
    wanted: readonly string[],
    { badRows }: RowsOptions = {},
  ): AsyncGenerator<TableRow> {
    const bad = badRows ?? new BadRows(this.#file);
    if (this.columns.length > 0) requireColumns(this.#file, wanted, this.columns);
    const places = wanted.map((column) => [column, this.columns.indexOf(column)] as const);
    const header = this.columns.map(folded);
    const headerLines: number[] = [];
    const joinedLines: number[] = [];
    let isEmpty = true;
    for (let row; (row = this.#rows.take() ?? await this.#rows.next()) !== undefined;) {
      isEmpty = false;
      const { fields, line, lines, fault } = row;
      if (fault !== undefined) bad.add(line, fault);
      else if (fields.length !== this.columns.length) {
        const rule = `expected ${this.columns.length} fields, got ${fields.length}`;
        bad.add(line, fields.some(holdsNul) ? NUL_FAULT : rule);
      } else if (isHeader(fields, header)) headerLines.push(line);
      else if (isReordered(fields, header)) {
        const rule =
          "the header comes again with its columns in another order; put the rows from " +
          "there on into a table of their own";
        throw readError(this.#file, rule, line);
      } else {
        const values: Record<string, string> = {};
        let isDamaged = false;
        for (const [name, place] of places) {
          const value = fields[place]!;
          isDamaged ||= holdsNul(value);
          values[name] = value;
        }
        if (isDamaged) {
          bad.add(line, NUL_FAULT);
          continue;
        }
        if (lines > 1 && this.#rows.delimiter === "\t") joinedLines.push(line);
        yield { values, line };
      }
    }
    if (isEmpty) throw readError(this.#file, "expected a header line and at least one row");
    const name = basename(this.#file);
    if (headerLines.length > 0) {
      this.#onNote(`The header of '${name}' comes again ${inLines(headerLines)}; it is no row`);
    }
    if (joinedLines.length > 0) {
      this.#onNote(`Quoted fields of '${name}' go over line ends ${inLines(joinedLines)}`);
    }
    if (badRows === undefined) bad.check();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#blocks.return(undefined);
  }
}

function folded(name: string): string {
  return name.trim().toLowerCase();
}

/**
 * Whether a row has the names of the columns.
 *
 * @param header The names, folded.
 */
function isHeader(fields: readonly string[], header: readonly string[]): boolean {
  // Lower case is never shorter, so that the long text of a row need not be made lower case.
  return fields.length > 1 && fields.every((field, i) => {
    const name = header[i]!;
    const trimmed = field.trim();
    return trimmed.length <= name.length && trimmed.toLowerCase() === name;
  });
}

/**
 * Whether a row has the names of the columns in another order.
 *
 * @param header The names, folded.
 */
function isReordered(fields: readonly string[], header: readonly string[]): boolean {
  const longest = Math.max(...header.map((name) => name.length));
  return fields.length > 1 && fields.every((field) => field.trim().length <= longest) &&
    new Set(fields.map(folded)).symmetricDifference(new Set(header)).size === 0;
}

/** The rule that a row of a damaged file breaks: no text has such a character. */
const NUL_FAULT = "it holds a NUL character, which is no text";

function holdsNul(field: string): boolean {
  return field.includes("\0");
}

function inLines(lines: readonly number[]): string {
  return `in line ${listOf(lines.map(count))}`;
}

function delimiterName(delimiter: string): string {
  return delimiter === "\t" ? "tabs" : `'${delimiter}'`;
}

/** @throws {UserError} If it is neither one character nor a tab's name. */
function parseDelimiter(delimiter: string): string {
  if (["tab", "\\t"].includes(delimiter.toLowerCase())) return "\t";
  if (delimiter.length === 1 && !'"\r\n'.includes(delimiter)) return delimiter;
  throw new UserError(`Cannot use --delimiter ${delimiter}: expected one character, or tab`);
}

/**
 * Finds the delimiter that gives the wanted columns, or else the most rows as wide as the header.
 *
 * @param text The first lines of a table.
 * @param usual The delimiter by the file's name, which is taken where others are no better.
 */
async function findDelimiter(
  text: string,
  usual: string,
  wanted: readonly string[],
): Promise<string> {
  let best = { delimiter: usual, score: 0 };
  for (const delimiter of [usual, ...DELIMITERS]) {
    const rows = new DelimitedRows(startingWith(text), delimiter);
    const header = (await rows.next())?.fields.map((name) => name.trim()) ?? [];
    if (header.length < 2) continue;
    let [fitting, read] = [0, 0];
    for (let row; read < SNIFFED_ROWS && (row = await rows.next()) !== undefined; read++) {
      if (row.fields.length === header.length) fitting++;
    }
    const hasWanted = wanted.length > 0 && wanted.every((column) => header.includes(column));
    // A header alone counts a little.
    const score = Number(hasWanted) * 2 + (1 + fitting) / (1 + read);
    if (score > best.score) best = { delimiter, score };
  }
  return best.delimiter;
}

async function* startingWith(
  first: string,
  rest: AsyncIterable<string> | Iterable<string> = [],
): AsyncGenerator<string> {
  if (first !== "") yield first;
  yield* rest;
}

/** A table of one JSON object a line. */
class JsonLines implements Table {
  readonly columns: readonly string[];
  readonly #file: string;
  readonly #blocks: AsyncGenerator<string>;
  readonly #first: string;

  private constructor(
    file: string,
    blocks: AsyncGenerator<string>,
    first: string,
    columns: readonly string[],
  ) {
    this.#file = file;
    this.#blocks = blocks;
    this.#first = first;
    this.columns = columns;
  }

  static async open(file: string, blocks: AsyncGenerator<string>): Promise<JsonLines> {
    const first: string = (await blocks.next()).value ?? "";
    const lines = first.split("\n", SNIFFED_ROWS);
    if (/^\[\s*(\{|$)/.test(lines[0]!)) {
      await blocks.return(undefined);
      throw readError(
        file,
        "it is one JSON array; expected JSON Lines, one object a line, which " +
          `jq -c '.[]' ${basename(file)} prints`,
      );
    }
    const firstObject = lines.map(parseObject).find((json) => typeof json === "object");
    const values = Object.values(firstObject ?? {});
    const isOfColumns = !first.trim().includes("\n") && values.length > 1 &&
      values.every((value) => typeof value === "object" && value !== null);
    if (isOfColumns || lines[0]!.trim() === "{") {
      await blocks.return(undefined);
      throw readError(
        file,
        "it is one JSON object; expected JSON Lines, one object a line, which pandas writes by " +
          'to_json(file, orient="records", lines=True)',
      );
    }
    return new JsonLines(file, blocks, first, Object.keys(firstObject ?? {}));
  }

  async *rows(
    wanted: readonly string[],
    { badRows, lists = [], carried = [] }: RowsOptions = {},
  ): AsyncGenerator<TableRow> {
    const bad = badRows ?? new BadRows(this.#file);
    let line = 0;
    let isEmpty = true;
    for await (const block of startingWith(this.#first, this.#blocks)) {
      // Every block but the last ends with a line end.
      for (const text of block.replace(/\n$/, "").split("\n")) {
        line++;
        if (text.trim() === "") continue;
        isEmpty = false;
        const values = jsonValues(text, wanted, { lists, carried });
        if (typeof values === "string") bad.add(line, values);
        else if (wanted.some((column) => holdsNul(values[column]!))) bad.add(line, NUL_FAULT);
        else if (wanted.some((column) => !values[column]!.isWellFormed())) {
          bad.add(line, "it holds half of a surrogate pair, which is no character");
        } else yield { values, line };
      }
    }
    if (isEmpty) throw readError(this.#file, "expected at least one row");
    if (badRows === undefined) bad.check();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#blocks.return(undefined);
  }
}

/** The object of a line, or the rule that the line breaks. */
function parseObject(text: string): Record<string, unknown> | string {
  let json: unknown;
  try {
    json = JSON.parse(text, keepDigits);
  } catch {
    return "it is not JSON";
  }
  const isObject = typeof json === "object" && json !== null && !Array.isArray(json);
  return isObject ? json as Record<string, unknown> : "expected an object";
}

/** The wanted fields of a line, or the rule that it breaks. */
function jsonValues(
  text: string,
  wanted: readonly string[],
  { lists, carried }: Required<Pick<RowsOptions, "lists" | "carried">>,
): Record<string, string> | string {
  const json = parseObject(text);
  if (typeof json === "string") return json;
  const needed = wanted.filter((column) => !carried.includes(column));
  const missing = missingColumn(needed, Object.keys(json));
  if (missing !== undefined) return missing;
  const values: [string, string][] = [];
  for (const column of wanted) {
    const value = json[column] ?? null;
    if (typeof value === "object" && value !== null && carried.includes(column)) {
      values.push([column, JSON.stringify(value)]);
    } else if (lists.includes(column) && Array.isArray(value) && value.every(isScalar)) {
      const names = value.map(String);
      const joined = names.find((name) => name.includes("|"));
      if (joined !== undefined) return `'${joined}' in '${column}' holds a |, which joins names`;
      values.push([column, joinClassNames(names)]);
    } else if (typeof value === "object" && value !== null) {
      return `expected '${column}' to be a text, a number or a boolean` +
        (Array.isArray(value) ? "; lists of labels take multi_label_classification" : "");
    } else values.push([column, value === null ? "" : String(value)]);
  }
  return Object.fromEntries(values);
}

function isScalar(value: unknown): boolean {
  return ["string", "number", "boolean"].includes(typeof value);
}

/** Keeps a number that a float64 would round, such as a long id, as the text that it is. */
function keepDigits(_key: string, value: unknown, context?: { source?: string }): unknown {
  const isExact = typeof value !== "number" || Number.isSafeInteger(value) ||
    !/^-?\d+$/.test(context?.source ?? "");
  return isExact ? value : context!.source;
}

/** @throws {UserError} If a column is not there, or there twice. */
function requireColumns(file: string, wanted: readonly string[], found: readonly string[]): void {
  const repeated = wanted.find((column) => found.indexOf(column) !== found.lastIndexOf(column));
  const rule = repeated === undefined
    ? missingColumn(wanted, found)
    : `expected one column '${repeated}', found several`;
  if (rule !== undefined) throw readError(file, rule);
}

function missingColumn(wanted: readonly string[], found: readonly string[]): string | undefined {
  const missing = wanted.find((column) => !found.includes(column));
  if (missing === undefined) return undefined;
  return `expected a column '${missing}', found ${found.map((name) => `'${name}'`).join(", ")}`;
}
