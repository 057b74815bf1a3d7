/**
 * Writes tables of texts and labels as CSV.
 *
 * @module
 */
import { stringify } from "csv-stringify/sync";
import { PartialFile } from "../lib/files.ts";
import type { Examples } from "./example_file.ts";

/** The number of characters after which rows are written. */
const BLOCK_CHARACTERS = 2 ** 20;

/** Rows as CSV by RFC 4180. */
function csvRows(rows: string[][]): string {
  // csv-stringify takes a carriage return for a part of the field unless it is told otherwise.
  return stringify(rows, { quoted_match: "\r" });
}

/** Joins rows into blocks of CSV of about a million characters. */
export class CsvBlocks {
  #rows: string[][] = [];
  #characters = 0;

  /** Adds a row. @returns The block that it completes, if any. */
  add(row: string[]): string | undefined {
    this.#rows.push(row);
    for (const field of row) this.#characters += field.length;
    return this.#characters < BLOCK_CHARACTERS ? undefined : this.rest();
  }

  /** Returns the rows that are in no block yet. */
  rest(): string {
    const block = csvRows(this.#rows);
    this.#rows = [];
    this.#characters = 0;
    return block;
  }
}

/** Writes rows under the columns `text` and `label`; the file takes its name when it is complete. */
export async function writeExamples(path: string, examples: Examples): Promise<void> {
  await using file = await PartialFile.create(path);
  const encoder = new TextEncoder();
  const blocks = new CsvBlocks();
  blocks.add(["text", "label"]);
  for (const { text, label } of examples) {
    const block = blocks.add([text, label]);
    if (block !== undefined) await file.write(encoder.encode(block));
  }
  await file.write(encoder.encode(blocks.rest()));
  await file.publish();
}
