/**
 * Reads CSV files of texts and labels. Faults name the file and the line.
 *
 * @module
 */
import { CsvError, parse } from "csv-parse/sync";
import { labelFault, type ProblemType } from "./labels.ts";
import { UserError } from "./user_error.ts";

/** One row of a data file. */
export interface Example {
  text: string;
  /** As the file has it; `labels.ts` says what it means. */
  label: string;
}

/** A record as csv-parse gives it: the fields by column, and where it ended. */
interface ParsedRecord {
  record: Record<string, string>;
  info: { lines: number };
}

/**
 * Reads the columns `text` and `label` of a CSV file in UTF-8, with or without a byte-order mark.
 *
 * @throws {UserError} If the file is missing, empty or malformed, lacks a column, or has a row
 * without a text or with a label that the kind of problem does not allow.
 */
export async function readExamples(
  file: string,
  problemType: ProblemType = "single_label_classification",
): Promise<Example[]> {
  const fail = (rule: string, line?: number) =>
    new UserError(`Cannot read '${file}'${line === undefined ? "" : ` line ${line}`}: ${rule}`);

  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw fail("no such file");
    if (error instanceof Deno.errors.NotADirectory) throw fail("no such file");
    if (error instanceof Deno.errors.IsADirectory) throw fail("it is a folder");
    throw error;
  }
  let content: string;
  try {
    content = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw fail("it is not UTF-8 text");
  }

  let records: ParsedRecord[];
  try {
    const options = { columns: true, info: true, skip_empty_lines: true, relax_quotes: false };
    records = parse(content, options) as unknown as ParsedRecord[];
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw fail(csvRule(error), Number(error["lines"]));
  }
  if (records.length === 0) throw fail("expected a header line and at least one row");
  for (const column of ["text", "label"]) {
    if (column in records[0]!.record) continue;
    const found = Object.keys(records[0]!.record).map((name) => `'${name}'`).join(", ");
    throw fail(`expected a column '${column}', found ${found}`);
  }
  return records.map(({ record, info }) => {
    const text = record["text"]!;
    const label = record["label"]!.trim();
    if (text.trim() === "") throw fail("the text is empty", info.lines);
    const fault = labelFault(label, problemType);
    if (fault !== undefined) throw fail(fault, info.lines);
    return { text, label };
  });
}

function csvRule(error: CsvError): string {
  switch (error.code) {
    case "CSV_RECORD_INCONSISTENT_COLUMNS": {
      const expected = (error["columns"] as unknown[]).length;
      return `expected ${expected} fields, got ${(error["record"] as unknown[]).length}`;
    }
    case "CSV_QUOTE_NOT_CLOSED":
      return "a quote is opened and never closed";
    case "CSV_INVALID_CLOSING_QUOTE":
    case "INVALID_OPENING_QUOTE":
      return "a quote stands inside a field; fields with quotes must be quoted and double them";
    default:
      return error.message;
  }
}
