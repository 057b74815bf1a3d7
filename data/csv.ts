/**
 * Reads files of texts and labels: CSV, TSV or JSON Lines. Faults name the file and the line.
 *
 * @module
 */
import { type Columns, DEFAULT_COLUMNS } from "./columns.ts";
import { labelFault, type ProblemType } from "./labels.ts";
import { readRows } from "./table.ts";
import { readError } from "./text_blocks.ts";

/** One row of a data file. */
export interface Example {
  text: string;
  /** As the file has it; `labels.ts` says what it means. */
  label: string;
}

/**
 * Reads the text and the label of each row; {@link readRows} says of which files.
 *
 * @throws {UserError} If the file is missing, empty or malformed, lacks a column, or has a row
 * without a text or with a label that the kind of problem does not allow.
 */
export async function readExamples(
  file: string,
  problemType: ProblemType = "single_label_classification",
  columns: Columns = DEFAULT_COLUMNS,
): Promise<Example[]> {
  const examples: Example[] = [];
  for await (const { values, line } of readRows(file, [columns.text, columns.label])) {
    const text = values[columns.text]!;
    const label = values[columns.label]!.trim();
    if (text.trim() === "") throw readError(file, "the text is empty", line);
    const fault = labelFault(label, problemType);
    if (fault !== undefined) throw readError(file, fault, line);
    examples.push({ text, label });
  }
  return examples;
}
