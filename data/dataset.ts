/**
 * A data set: a folder with `train_simple.csv`, `val_simple.csv` and `test_simple.csv`, or the same
 * as TSV or JSON Lines, or under other usual names.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Columns, DEFAULT_COLUMNS, findColumn, hasColumn } from "./columns.ts";
import { writeExamples } from "./csv_file.ts";
import { BadRows } from "./bad_rows.ts";
import { exists, fileInfo } from "../lib/files.ts";
import { canonicalLabel, classNames, type ProblemType, REGRESSION_LABELS } from "./labels.ts";
import { UserError } from "../lib/user_error.ts";
import { type Examples, labelsOfRows, utf8Texts, withLabels } from "./example_file.ts";
import { type Example, readExampleFile, readExamples, type ReadOptions } from "./examples.ts";
import { LabelNormaliser, labelNotes, wordForNoLabels } from "./label_spelling.ts";
import { openTable, type Table, TABLE_EXTENSIONS } from "./table.ts";

/** The bundled sample's folder. */
export const SAMPLE_DIR: string = fileURLToPath(new URL("./sample", import.meta.url));

/** The file names of a data set, by split. */
export const SPLIT_FILES = {
  train: "train_simple.csv",
  validation: "val_simple.csv",
  test: "test_simple.csv",
} as const;

/** The names that Kaggle, the `datasets` library and others give to these files. */
const OTHER_STEMS: Record<Split, readonly string[]> = {
  train: ["train", "training"],
  validation: ["validation", "valid", "val", "dev"],
  test: ["test"],
};

/** One of the files of a data set. */
export type Split = keyof typeof SPLIT_FILES;

/**
 * Finds the file of a data set for a split, whether it is there or not, its name in whatever case.
 * Other names count only where no training file has a usual one.
 *
 * @throws {UserError} If it is there in more than one format, or under more than one name.
 */
export async function splitFile(dir: string, split: Split): Promise<string> {
  const names = await namesIn(dir);
  const existing = (files: readonly string[]) => {
    const wanted = files.map((file) => basename(file).toLowerCase());
    return names.filter((name) => wanted.includes(name.toLowerCase())).sort();
  };
  const usual = splitFiles(dir, split);
  const others = OTHER_STEMS[split].flatMap((stem) =>
    TABLE_EXTENSIONS.map((extension) => stem + extension)
  );
  const isUsual = existing(splitFiles(dir, "train")).length > 0;
  const found = existing(isUsual ? usual : [...usual, ...others]).map((name) => join(dir, name));
  if (found.length > 1) {
    throw new UserError(
      `Cannot choose the ${split} file: there are '${found[0]}' and '${found[1]}'`,
    );
  }
  return found[0] ?? usual[0]!;
}

/** The names in a folder; none where there is no folder. */
async function namesIn(dir: string): Promise<string[]> {
  if (!(await fileInfo(dir))?.isDirectory) return [];
  return (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name);
}

/** The usual paths of a data set's file for a split, by format, the commonest first. */
export function splitFiles(dir: string, split: Split): string[] {
  return TABLE_EXTENSIONS.map((extension) =>
    join(dir, SPLIT_FILES[split].replace(/\.csv$/, extension))
  );
}

/** The file that names the classes of a data set by their numbers, where there is one. */
export const LABELS_FILE = "labels.json";

/** A data set for training. */
export interface Dataset {
  dir: string;
  /**
   * The classes of the training examples; numbers in their order, names in alphabetical order. For
   * regression the name of the one output.
   */
  labels: string[];
  train: Examples;
  validation: readonly Example[];
  /** Empty where the folder has no test file. */
  test: readonly Example[];
  /** Whether it was split such that no text stands on two sides. */
  isSplitByText?: boolean;
}

/** Options of {@link readDataset}. */
export interface DatasetOptions extends Omit<ReadOptions, "spelling"> {
  /** The file into which the training rows go as they are read; by default memory holds them. */
  rowsFile?: string;
  /** Whether labels that mean the same become one, as {@link LabelNormaliser} says. */
  normalizeLabels?: boolean;
}

/**
 * Reads a data set.
 *
 * @throws {UserError} If a file is missing (the test file may be) or malformed, if all training
 * examples have the same label, or if the validation or test file has a class that the training file
 * lacks.
 */
export async function readDataset(
  dir: string,
  problemType: ProblemType = "single_label_classification",
  columns: Columns = DEFAULT_COLUMNS,
  { normalizeLabels = false, ...given }: DatasetOptions = {},
): Promise<Dataset> {
  const options = { ...given, onNote: once(given.onNote) };
  const files = {
    train: await splitFile(dir, "train"),
    validation: await splitFile(dir, "validation"),
    test: await labelledTestFile(dir, columns, options),
  };
  const train = await readTraining(files.train, problemType, columns, {
    normalizeLabels,
    ...options,
  });
  const spelling = normalizeLabels
    ? new LabelNormaliser(labelCounts(train), problemType)
    : undefined;
  const read = (file: string) => readExamples(file, problemType, columns, { ...options, spelling });
  const validation = await read(files.validation);
  const test = files.test === undefined ? [] : await read(files.test);
  const all = labelCounts(train, validation, test);
  for (const note of labelNotes(all, problemType)) options.onNote(note);
  return datasetOf(dir, { train, validation, test }, problemType, files);
}

/**
 * Makes a data set of rows that were read.
 *
 * @param files The files that errors name.
 * @throws {UserError} If all training rows have the same label, or the others have a class that these
 * lack.
 */
export function datasetOf(
  dir: string,
  rows: Pick<Dataset, Split>,
  problemType: ProblemType,
  files: { train: string; validation: string; test: string | undefined },
): Dataset {
  const { train, validation, test } = rows;
  const trained = [...labelCounts(train).keys()];
  const labels = outputLabels(trained, problemType);
  if (new Set(trained.map((label) => canonicalLabel(label, problemType))).size < 2) {
    const wanted = problemType === "single_label_classification" ? "classes" : "different labels";
    throw new UserError(
      `Cannot train on '${
        basename(dir)
      }': expected at least two ${wanted}, found only '${trained[0]!}'`,
    );
  }
  for (const [examples, file] of [[validation, files.validation], [test, files.test!]] as const) {
    const unknown = [...labelCounts(examples).keys()]
      .flatMap((label) => classNames(label, problemType))
      .find((name) => !labels.includes(name));
    if (unknown === undefined) continue;
    throw new UserError(
      `Cannot use '${file}': its label '${unknown}' is not in ${basename(files.train)}`,
    );
  }
  return { dir, labels, train, validation, test };
}

/** Passes each note on once: all files of a folder are mostly alike. */
export function once(onNote: (note: string) => void = () => {}): (note: string) => void {
  const said = new Set<string>();
  return (note) => {
    if (!said.has(note)) onNote(note);
    said.add(note);
  };
}

/** Reads a training file; labels that are to be normalised get their commonest spelling there. */
export async function readTraining(
  file: string,
  problemType: ProblemType,
  columns: Columns,
  { normalizeLabels = false, rowsFile, ...options }: DatasetOptions = {},
): Promise<Examples> {
  const asItStands = { apply: (label: string) => label };
  const reading = normalizeLabels ? { ...options, spelling: asItStands } : options;
  const examples = rowsFile === undefined
    ? await readExamples(file, problemType, columns, reading)
    : await readExampleFile(file, rowsFile, problemType, columns, reading);
  if (!normalizeLabels) return examples;
  const spelling = new LabelNormaliser(labelCounts(examples), problemType);
  return withLabels(examples, (label) => spelling.apply(label));
}

/** Counts the rows of each label. */
export function labelCounts(...parts: readonly Examples[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const examples of parts) {
    for (const label of labelsOfRows(examples)) counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  return counts;
}

/**
 * Finds the test file of a data set, if there is one with labels: test files of competitions have
 * no column of labels, or one word in it that stands for none.
 *
 * @throws {UserError} If it is malformed.
 */
export async function labelledTestFile(
  dir: string,
  columns: Columns = DEFAULT_COLUMNS,
  options: ReadOptions = {},
): Promise<string | undefined> {
  const file = await splitFile(dir, "test");
  if (!await exists(file)) return undefined;
  const { onNote, ...format } = options;
  await using table = await openTable(file, format);
  if (table.columns.length === 0) return file;
  const hasLabels = hasColumn(table.columns, "label", columns);
  const word = hasLabels
    ? await labelOfAll(table, findColumn(file, table.columns, "label", columns.label), file)
    : undefined;
  if (hasLabels && word === undefined) return file;
  const reason = word === undefined ? "" : ` (each is '${word}')`;
  onNote?.(`'${basename(file)}' has no labels${reason}, so that nothing is measured on it`);
  return undefined;
}

/** The word that stands for no label in every row; else `undefined`. */
async function labelOfAll(table: Table, column: string, file: string): Promise<string | undefined> {
  let word: string | undefined;
  // The bad rows are named when the texts are read, too.
  const options = { badRows: new BadRows(file), lists: [column] };
  for await (const { values } of table.rows([column], options)) {
    const label = values[column]!.trim();
    if (word === undefined) word = label;
    if (wordForNoLabels([word, label]) === undefined) return undefined;
  }
  return word;
}

/** Writes the files of a data set that are not empty as CSV under their usual names. */
export async function writeDataset(
  dir: string,
  dataset: Partial<Record<Split, Examples>>,
): Promise<void> {
  for (const [split, file] of Object.entries(SPLIT_FILES)) {
    const examples = dataset[split as Split] ?? [];
    if (examples.length > 0) await writeExamples(join(dir, file), examples);
  }
}

/** The SHA-256 of a data set's training and validation rows, in hexadecimal. */
export function digestOf({ train, validation }: Dataset): string {
  const digest = new RowsDigest();
  // A million rows have few labels.
  const encoded = new Map<string, Uint8Array>();
  const encode = (label: string) => encoder.encode(label);
  for (const examples of [train, validation]) {
    const labels = labelsOfRows(examples);
    for (const text of utf8Texts(examples)) {
      digest.add(text);
      digest.add(encoded.getOrInsertComputed(labels.next().value!, encode));
    }
    digest.add(new Uint8Array(0));
  }
  return digest.hex();
}

const encoder = new TextEncoder();
/** The byte after each field, which no text holds: it is no byte of UTF-8. */
const FIELD_END = 0xFF;

/** Digests fields, many at a time: each call of the hash costs as much as some hundred bytes. */
class RowsDigest {
  readonly #hash = createHash("sha256");
  readonly #buffer = new Uint8Array(2 ** 16);
  #buffered = 0;

  add(field: Uint8Array): void {
    if (this.#buffered + field.length + 1 > this.#buffer.length) this.#flush();
    if (field.length + 1 > this.#buffer.length) {
      this.#hash.update(field);
    } else {
      this.#buffer.set(field, this.#buffered);
      this.#buffered += field.length;
    }
    this.#buffer[this.#buffered++] = FIELD_END;
  }

  hex(): string {
    this.#flush();
    return this.#hash.digest("hex");
  }

  #flush(): void {
    this.#hash.update(this.#buffer.subarray(0, this.#buffered));
    this.#buffered = 0;
  }
}

/**
 * Finds the file of a data set that a model is measured on: the test file, or the validation file
 * where there is none.
 */
export async function evaluationFile(
  dir: string,
  columns?: Columns,
  options?: ReadOptions,
): Promise<string> {
  return await labelledTestFile(dir, columns, options) ?? await splitFile(dir, "validation");
}

/** The classes that labels name; for numbers the one output. */
function outputLabels(labels: readonly string[], problemType: ProblemType): string[] {
  if (problemType === "regression") return [...REGRESSION_LABELS];
  return inClassOrder(labels.flatMap((label) => classNames(label, problemType)));
}

/** Distinct labels in the order of their classes: numbers by value, names by alphabet. */
export function inClassOrder(names: Iterable<string>): string[] {
  const labels = [...new Set(names)];
  return labels.every((label) => /^-?\d+$/.test(label))
    ? labels.sort((a, b) => Number(a) - Number(b))
    : labels.sort();
}
