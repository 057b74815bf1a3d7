/**
 * Reads files of texts and labels: CSV, TSV or JSON Lines. Faults name the file and the line.
 *
 * @module
 */
import { BadRows } from "./bad_rows.ts";
import { type Columns, columnsNote, DEFAULT_COLUMNS, findColumns } from "./columns.ts";
import { normalisedLabelFault, SkippedLabels } from "./label_spelling.ts";
import { labelFault, type ProblemType } from "./labels.ts";
import { type ExampleFile, ExampleFileWriter } from "./example_file.ts";
import { openTable, type TableFormat } from "./table.ts";

/** A row of a data file. */
export interface Example {
  text: string;
  /** The label as the file has it; `labels.ts` says what it means. */
  label: string;
}

/** Options of {@link readExamples}. */
export interface ReadOptions extends TableFormat {
  /** Called with notes for the user on how the file was read. */
  onNote?: (note: string) => void;
  /** The labels of rows that are left out, as {@link SkippedLabels} takes them. */
  skipLabels?: string | undefined;
  /** Gives labels another spelling than they have in the file. */
  spelling?: { apply(label: string): string } | undefined;
}

/**
 * Reads the text and the label of each row, from the files that {@link openTable} reads and the
 * columns that {@link findColumns} finds.
 *
 * @throws {UserError} If the file is missing, empty or malformed, lacks a column, or has rows
 * without a text or with a label that the kind of problem does not allow.
 */
export async function readExamples(
  file: string,
  problemType: ProblemType = "single_label_classification",
  columns: Columns = DEFAULT_COLUMNS,
  options: ReadOptions = {},
): Promise<Example[]> {
  const examples: Example[] = [];
  await forEachExample(file, problemType, columns, options, (example) => examples.push(example));
  return examples;
}

/**
 * Reads rows as {@link readExamples} does, into a file of their own, so that memory does not hold them.
 *
 * @param path The file to write.
 */
export async function readExampleFile(
  file: string,
  path: string,
  problemType: ProblemType,
  columns: Columns,
  options: ReadOptions = {},
): Promise<ExampleFile> {
  using writer = ExampleFileWriter.create(path);
  await forEachExample(file, problemType, columns, options, (example) => writer.add(example));
  return writer.finish();
}

async function forEachExample(
  file: string,
  problemType: ProblemType,
  columns: Columns,
  options: ReadOptions,
  take: (example: Example) => void,
): Promise<void> {
  await using table = await openTable(file, { wanted: [columns.text, columns.label], ...options });
  const found = table.columns.length === 0 ? columns : findColumns(file, table.columns, columns);
  const note = columnsNote(found);
  if (note !== undefined) options.onNote?.(note);
  const { spelling } = options;
  const faultOf = spelling === undefined ? labelFault : normalisedLabelFault;
  const badRows = new BadRows(file);
  const skipped = new SkippedLabels(options.skipLabels);
  const lists = problemType === "multi_label_classification" ? [found.label] : [];
  const wanted = [found.text, found.label];
  for await (const { values, line } of table.rows(wanted, { badRows, lists })) {
    const text = values[found.text]!;
    const label = values[found.label]!.trim();
    if (skipped.skips(label)) continue;
    const fault = text.trim() === "" ? "the text is empty" : faultOf(label, problemType);
    if (fault === undefined) take({ text, label: spelling?.apply(label) ?? label });
    else badRows.add(line, fault);
  }
  badRows.check();
  const left = skipped.note(file);
  if (left !== undefined) options.onNote?.(left);
}
