/**
 * The first reading of a raw table: its labels, and which rows belong together.
 *
 * @module
 */
import { hash } from "node:crypto";
import { BadRows } from "../bad_rows.ts";
import type { Example } from "../examples.ts";
import type { SkippedLabels } from "../label_spelling.ts";
import { DuplicateNumbers } from "./duplicates.ts";
import type { RawTable } from "./raw_table.ts";

/** The findings of one reading of the table. */
export interface Survey {
  /** Sound rows. */
  read: number;
  badRows: BadRows;
  skipped: SkippedLabels;
  bytes: number;
  digest: { sha256?: string };
  /** The distinct raw labels in order of appearance. */
  labels: string[];
  /** The raw label of each kept row, as an index into `labels`. */
  rawLabels: Int32Array;
  /** The group of each kept row. */
  groups: Int32Array;
  groupCount: number;
  distinctTexts: number;
}

/**
 * Reads a table to its end, so that memory holds a few numbers for each row and no text.
 *
 * @param keep Called with each row that has a text.
 */
export async function surveyRows(table: RawTable, keep: (row: Example) => void): Promise<Survey> {
  const badRows = new BadRows(table.file);
  const labels = new Numbering();
  const groups = new Numbering();
  const texts = new DuplicateNumbers();
  const rawLabels: number[] = [];
  const rowGroups: number[] = [];
  let read = 0;
  for await (const { text, label, group } of table.rows(badRows)) {
    read++;
    if (text.trim() === "") continue;
    keep({ text, label });
    rawLabels.push(labels.of(label));
    const textNumber = texts.of(text);
    rowGroups.push(group === undefined ? textNumber : groups.of(digestOf(group)));
  }
  const groupCount = groups.size === 0 ? texts.size : groups.size;
  return {
    read,
    badRows,
    skipped: table.skipped,
    bytes: table.bytes,
    digest: table.digest,
    labels: labels.keys(),
    rawLabels: Int32Array.from(rawLabels),
    groups: Int32Array.from(rowGroups),
    groupCount,
    distinctTexts: texts.size,
  };
}

/** Numbers keys from 0 in order of appearance. */
class Numbering {
  readonly #numbers = new Map<string, number>();

  of(key: string): number {
    const number = this.#numbers.get(key) ?? this.#numbers.size;
    if (number === this.#numbers.size) this.#numbers.set(key, number);
    return number;
  }

  keys(): string[] {
    return [...this.#numbers.keys()];
  }

  get size(): number {
    return this.#numbers.size;
  }
}

/** Digests a text of any length to 28 characters. */
function digestOf(text: string): string {
  return hash("sha1", text, "base64");
}
