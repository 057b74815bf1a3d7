/**
 * A data set: a folder with `train_simple.csv`, `val_simple.csv` and `test_simple.csv`, or the same
 * as TSV or JSON Lines.
 *
 * @module
 */
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Columns, DEFAULT_COLUMNS } from "./columns.ts";
import { exists } from "../lib/files.ts";
import { canonicalLabel, classNames, type ProblemType, REGRESSION_LABELS } from "./labels.ts";
import { UserError } from "../lib/user_error.ts";
import { type Example, readExamples } from "./examples.ts";

/** The bundled sample's folder. */
export const SAMPLE_DIR: string = fileURLToPath(new URL("./sample", import.meta.url));

/** The file names of a data set, by what they are for. */
export const SPLIT_FILES = {
  train: "train_simple.csv",
  validation: "val_simple.csv",
  test: "test_simple.csv",
} as const;

/** What a file of a data set may end in, the first being the usual. */
const EXTENSIONS = [".csv", ".tsv", ".jsonl"];

/** One of the files of a data set. */
export type Split = keyof typeof SPLIT_FILES;

/**
 * The file of a data set for some use, whether it is there or not.
 *
 * @throws {UserError} If it is there in more than one format.
 */
export async function splitFile(dir: string, split: Split): Promise<string> {
  const files = splitFiles(dir, split);
  const found: string[] = [];
  for (const file of files) if (await exists(file)) found.push(file);
  if (found.length > 1) {
    throw new UserError(
      `Cannot choose the ${split} file: there are '${found[0]}' and '${found[1]}'`,
    );
  }
  return found[0] ?? files[0]!;
}

/** What the file of a data set for some use may be called, the usual first. */
export function splitFiles(dir: string, split: Split): string[] {
  return EXTENSIONS.map((extension) => join(dir, SPLIT_FILES[split].replace(/\.csv$/, extension)));
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
  train: Example[];
  validation: Example[];
  /** Empty where the folder has no test file. */
  test: Example[];
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
): Promise<Dataset> {
  const read = (file: string) => readExamples(file, problemType, columns);
  const files = {
    train: await splitFile(dir, "train"),
    validation: await splitFile(dir, "validation"),
    test: await splitFile(dir, "test"),
  };
  const train = await read(files.train);
  const validation = await read(files.validation);
  const test = await exists(files.test) ? await read(files.test) : [];

  const labels = outputLabels(train, problemType);
  if (new Set(train.map(({ label }) => canonicalLabel(label, problemType))).size < 2) {
    const wanted = problemType === "single_label_classification" ? "classes" : "different labels";
    throw new UserError(
      `Cannot train on '${basename(dir)}': expected at least two ${wanted}, found only '${
        train[0]!.label
      }'`,
    );
  }
  for (const [examples, file] of [[validation, files.validation], [test, files.test]] as const) {
    const unknown = examples
      .flatMap(({ label }) => classNames(label, problemType))
      .find((name) => !labels.includes(name));
    if (unknown === undefined) continue;
    throw new UserError(
      `Cannot use '${file}': its label '${unknown}' is not in ${basename(files.train)}`,
    );
  }
  return { dir, labels, train, validation, test };
}

/** The SHA-256 of what a data set gives to train on, in hexadecimal. */
export async function digestOf({ train, validation }: Dataset): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify([train, validation]));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/**
 * The file of a data set that a model is measured on: the test file, or where there is none the
 * validation file.
 */
export async function evaluationFile(dir: string): Promise<string> {
  const test = await splitFile(dir, "test");
  return await exists(test) ? test : await splitFile(dir, "validation");
}

function outputLabels(examples: readonly Example[], problemType: ProblemType): string[] {
  if (problemType === "regression") return [...REGRESSION_LABELS];
  return inClassOrder(examples.flatMap(({ label }) => classNames(label, problemType)));
}

/** Distinct labels in the order of their classes: numbers by value, names by alphabet. */
export function inClassOrder(names: Iterable<string>): string[] {
  const labels = [...new Set(names)];
  return labels.every((label) => /^-?\d+$/.test(label))
    ? labels.sort((a, b) => Number(a) - Number(b))
    : labels.sort();
}
