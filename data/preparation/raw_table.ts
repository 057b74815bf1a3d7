/**
 * The raw table that a data set is made from: its rows, normalised, and its digest.
 *
 * @module
 */
import { createHash, type Hash } from "node:crypto";
import type { BadRows } from "../bad_rows.ts";
import { columnsNote, findColumn, findColumns } from "../columns.ts";
import { normalisedLabelFault, SkippedLabels } from "../label_spelling.ts";
import { labelFault } from "../labels.ts";
import { openTable, type Table } from "../table.ts";
import { normaliser } from "./normalise.ts";
import {
  type FullPrepareSettings,
  type PrepareSettings,
  withPrepareDefaults,
} from "./prepare_settings.ts";

/** A row of the raw table as the recipe sees it. */
export interface RawRow {
  /** Normalised; empty if nothing was left. */
  text: string;
  label: string;
  /** The value of the group column, if there is one. */
  group: string | undefined;
}

/** The hash, if it is wanted, and the number of the bytes read. */
interface ReadBytes {
  hash: Hash | undefined;
  count: number;
}

/** Options of {@link RawTable.open}. */
export interface RawTableOptions {
  /** Whether the file is digested as it is read. */
  isDigested: boolean;
  /** Called with notes for the user on the table. */
  onNote?: (note: string) => void;
  /** Stops the reading. */
  signal?: AbortSignal | undefined;
}

/** A reading of the raw table. */
export class RawTable implements AsyncDisposable {
  readonly file: string;
  /** The settings with the defaults and columns of this file. */
  readonly settings: FullPrepareSettings;
  /** Counts the rows that are left out by their label. */
  readonly skipped: SkippedLabels;
  readonly #table: Table;
  readonly #read: ReadBytes;
  /** The SHA-256 of the file when all has been read, if it is wanted. */
  digest: { sha256?: string } = {};
  /** The size of the file when all has been read. */
  bytes = 0;

  private constructor(file: string, settings: FullPrepareSettings, table: Table, read: ReadBytes) {
    this.file = file;
    this.settings = settings;
    this.skipped = new SkippedLabels(settings.skipLabels);
    this.#table = table;
    this.#read = read;
  }

  /**
   * Opens a table.
   *
   * @throws {UserError} If it is malformed, or lacks a column.
   */
  static async open(
    file: string,
    given: PrepareSettings,
    { signal, onNote = () => {}, isDigested }: RawTableOptions,
  ): Promise<RawTable> {
    const wanted = [...given.text?.split(",") ?? [], given.label ?? []].flat();
    const read = { hash: isDigested ? createHash("sha256") : undefined, count: 0 };
    const table = await openTable(file, {
      ...given,
      wanted: wanted.map((name) => name.trim()),
      onBytes: (piece) => {
        signal?.throwIfAborted();
        read.hash?.update(piece);
        read.count += piece.length;
      },
      onNote,
    });
    try {
      const settings = fullSettings(file, given, table.columns, onNote);
      return new RawTable(file, settings, table, read);
    } catch (error) {
      await table[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * The sound rows, once.
   *
   * @param badRows Collects the rows that break a rule.
   */
  async *rows(badRows: BadRows): AsyncGenerator<RawRow> {
    const { text, label: labelColumn, group: groupColumn, problemType, normalizeLabels } =
      this.settings;
    const textColumns = text.split(",").map((name) => name.trim());
    const columns = [...textColumns, labelColumn, groupColumn ?? []].flat();
    const labelFaultOf = normalizeLabels ? normalisedLabelFault : labelFault;
    const normalise = normaliser(this.settings);
    const lists = problemType === "multi_label_classification" ? [labelColumn] : [];
    for await (const { values, line } of this.#table.rows(columns, { badRows, lists })) {
      const text = textColumns.map((column) => values[column]!).join(" ");
      const label = values[labelColumn]!.trim();
      if (this.skipped.skips(label)) continue;
      const group = groupColumn === undefined ? undefined : values[groupColumn]!;
      const fault = text.trim() === "" ? "the text is empty" : labelFaultOf(label, problemType) ??
        (group === "" ? `'${groupColumn}' is empty` : undefined);
      if (fault !== undefined) badRows.add(line, fault);
      else yield { text: normalise(text), label, group };
    }
    const { hash, count } = this.#read;
    this.digest = hash === undefined ? {} : { sha256: hash.digest("hex") };
    this.bytes = count;
  }

  /** Closes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#table[Symbol.asyncDispose]();
  }
}

/** The settings with the defaults and columns of a file. */
function fullSettings(
  file: string,
  given: PrepareSettings,
  header: readonly string[],
  onNote: (note: string) => void,
): FullPrepareSettings {
  const settings = withPrepareDefaults(given, header);
  if (header.length === 0) return settings;
  const [text, label] = [settings.text.trim(), settings.label.trim()];
  const columns = text.includes(",")
    ? { text: settings.text, label: findColumn(file, header, "label", label) }
    : findColumns(file, header, { text, label });
  const note = columnsNote(columns);
  const isGiven = given.text === columns.text && given.label === columns.label;
  if (note !== undefined && !isGiven && !settings.text.includes(",")) onNote(note);
  return { ...settings, ...columns };
}
