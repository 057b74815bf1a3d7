/**
 * Splits data such as one table into training, validation and test rows, once for each run.
 *
 * @module
 */
import { basename, extname, join } from "node:path";
import { count, listOf } from "../../lib/format.ts";
import { type Columns, DEFAULT_COLUMNS } from "../columns.ts";
import {
  type Dataset,
  datasetOf,
  labelCounts,
  labelledTestFile,
  once,
  SPLIT_FILES,
  splitFile,
} from "../dataset.ts";
import { readExamples } from "../examples.ts";
import { LabelNormaliser } from "../label_spelling.ts";
import { TABLE_EXTENSIONS } from "../table.ts";
import { readError } from "../text_blocks.ts";
import { exists } from "../../lib/files.ts";
import { UserError } from "../../lib/user_error.ts";
import { type PreparedDataset, prepareRowsFile } from "./prepare.ts";
import type { PrepareSettings } from "./prepare_settings.ts";

/** A table to split validation rows off, and test rows if they have no file. */
export interface UnsplitData {
  file: string;
  /** The folder that may hold a test file. */
  dir?: string;
}

/**
 * Finds the table to split: a file, the only table of a folder, or a training file without one for
 * validation. `undefined` if a folder is already split.
 *
 * @throws {UserError} If there is nothing, or it is unclear which table is meant.
 */
export async function findUnsplitData(path: string): Promise<UnsplitData | undefined> {
  if (!await exists(path)) throw readError(path, "no such file or folder");
  if (!(await Deno.stat(path)).isDirectory) return { file: path };
  const train = await splitFile(path, "train");
  if (await exists(train)) {
    const isSplit = await exists(await splitFile(path, "validation"));
    return isSplit ? undefined : { file: train, dir: path };
  }
  const entries = (await Array.fromAsync(Deno.readDir(path)))
    .filter(({ name }) => !name.startsWith("."))
    .sort((a, b) => a.name < b.name ? -1 : 1);
  const names = entries.filter(({ isDirectory }) => !isDirectory).map(({ name }) => name);
  const folders = entries.filter(({ isDirectory }) => isDirectory).map(({ name }) => name);
  const known = names.filter((name) => TABLE_EXTENSIONS.includes(extname(name).toLowerCase()));
  // JSON files beside tables are metadata.
  const others = known.filter((name) => extname(name).toLowerCase() !== ".json");
  const tables = others.length > 0 ? others : known;
  if (tables.length === 1) return { file: join(path, tables[0]!) };
  const held = [...names, ...folders.map((name) => `${name}/`)].map((name) => `'${name}'`);
  const [named] = [...tables, ...folders];
  const way = named === undefined
    ? `Tables end in ${listOf(TABLE_EXTENSIONS)}`
    : `Name one: --data ${join(path, named)}`;
  throw new UserError(
    `Cannot tell which data of '${path}' to train on: expected train.csv, with or without ` +
      `validation.csv and test.csv, or one table, found ${listOf(held, 6) || "nothing"}. ${way}`,
  );
}

/** Settings of {@link splitForRun}. */
export interface SplitForRunOptions {
  settings: Pick<
    PrepareSettings,
    "problemType" | "delimiter" | "encoding" | "skipLabels" | "normalizeLabels" | "skipBadRows"
  >;
  /** The text may be several columns, separated by commas. */
  columns?: Columns;
  /** The file that then holds the texts; memory holds only those that are not trained on. */
  rowsFile: string;
  onNote?: (note: string) => void;
  signal?: AbortSignal;
}

/**
 * Splits a table as `data prepare` does by default. A labelled test file in the table's folder stays
 * the test file.
 *
 * @param outDir The folder for the record of how the table was split.
 * @throws {UserError} As `prepare` and {@link datasetOf} do.
 */
export async function splitForRun(
  { file, dir }: UnsplitData,
  outDir: string,
  { settings, columns = DEFAULT_COLUMNS, rowsFile, signal, ...options }: SplitForRunOptions,
): Promise<Dataset> {
  const { problemType = "single_label_classification", normalizeLabels = false } = settings;
  const { delimiter, encoding, skipLabels } = settings;
  const onNote = once(options.onNote);
  const reading = { delimiter, encoding, skipLabels, onNote };
  const testFile = dir === undefined ? undefined : await labelledTestFile(dir, columns, reading);
  const { dataset, rows } = await prepareRowsFile(file, rowsFile, {
    settings: { ...settings, ...columns, ...(testFile !== undefined && { testRatio: 0 }) },
    outDir,
    overwrite: true,
    onNote,
    ...(signal !== undefined && { signal }),
  });
  const { train, validation } = rows;
  let test = [...rows.test];
  if (testFile !== undefined) {
    const spelling = normalizeLabels
      ? new LabelNormaliser(labelCounts(train), problemType)
      : undefined;
    test = await readExamples(testFile, problemType, columns, { ...reading, spelling });
  }
  onNote(splitLine(basename(file), dataset, testFile));
  const rowsOfSides = { train, validation: [...validation], test };
  const made = datasetOf(outDir, rowsOfSides, problemType, {
    train: join(outDir, SPLIT_FILES.train),
    validation: join(outDir, SPLIT_FILES.validation),
    test: join(outDir, SPLIT_FILES.test),
  });
  return { ...made, isSplitByText: testFile === undefined };
}

/** The numbers of rows by side, in a line. */
function splitLine(
  name: string,
  { files: { train, validation, test }, settings }: PreparedDataset,
  testFile: string | undefined,
): string {
  const parts = [`${count(train.rows)} rows to train on`, `${count(validation.rows)} to validate`];
  if (test !== undefined) parts.push(`${count(test.rows)} to test`);
  return `Split '${name}' by text, with seed ${settings["seed"]}: ${parts.join(", ")}` +
    (testFile === undefined ? "" : `; '${basename(testFile)}' is for testing`);
}
