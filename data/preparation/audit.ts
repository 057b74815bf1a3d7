/**
 * The audit of a data set: facts to know before believing a model's figures on it.
 *
 * @module
 */
import { basename, join } from "node:path";
import { z } from "zod";
import { count } from "../../lib/format.ts";
import { type Columns, DEFAULT_COLUMNS } from "../columns.ts";
import type { Examples } from "../example_file.ts";
import { type Example, readExamples } from "../examples.ts";
import { inClassOrder, labelCounts, labelledTestFile, LABELS_FILE, splitFile } from "../dataset.ts";
import { labelNotes } from "../label_spelling.ts";
import type { TableFormat } from "../table.ts";
import { UserError } from "../../lib/user_error.ts";
import { exists, readJson } from "../../lib/files.ts";
import { canonicalLabel, classNames, type ProblemType } from "../labels.ts";
import {
  type LabelsByText,
  labelsByText,
  type Leakage,
  leakageLine,
  leakageOf,
} from "./leakage.ts";
import { LinearBaseline } from "./linear_baseline.ts";
import { NEAR_THRESHOLD, nearDuplicateSets } from "./near_duplicates.ts";
import { type Side, SIDES } from "./split.ts";
import { stratifiedSample } from "../stratified_sample.ts";
import { findUnsplitData } from "./unsplit_data.ts";

/** The lengths of texts, in some unit. */
export interface Lengths {
  mean: number;
  p50: number;
  p90: number;
  p95: number;
  p99: number;
  max: number;
  /** Texts by length: bar `i` counts those from `i * width` to `(i + 1) * width - 1`. */
  histogram: { width: number; counts: number[] };
}

/** The audit of one file. */
export interface FileAudit {
  file: string;
  rows: number;
  distinct_texts: number;
  /** Rows whose text also stands in an earlier row. */
  duplicate_rows: number;
  /** Distinct texts that are almost the same as another of the file. */
  near_duplicate_texts: number;
  /** Distinct texts with more than one label. */
  conflicting_texts: number;
  /** Rows whose text has no letter. */
  non_text_rows: number;
  /** Rows by class; a text with several counts for each of them. */
  classes: Record<string, number>;
  words: Lengths;
  /** The lengths in word pieces, without `[CLS]` and `[SEP]`. */
  word_pieces: Lengths;
  /** Rows whose text is cut at {@link AuditReport.max_length}. */
  truncated_rows: number;
  /** The share of the tokens that the base does not know; `null` without a base. */
  unknown_share: number | null;
}

/** The rows of one file that stand in another. */
export interface Overlap extends Leakage {
  of: Side;
  in: Side;
  /**
   * Rows that only have a near duplicate there. A lower bound, as texts that are like very many
   * others are compared with some of them only.
   */
  near: number;
}

/** The figures of a baseline on some rows, of many on a sample; `null` where there are no rows. */
export interface BaselineFigures {
  n: number;
  accuracy: number | null;
  f1_macro: number | null;
}

/** The results of a baseline on the held-out file. */
export interface Baseline {
  name: string;
  all: BaselineFigures;
  /** Rows whose text is not in the training file. */
  unseen: BaselineFigures;
}

/** The result of {@link audit}; the content of `data audit --json`. */
export interface AuditReport {
  dir: string;
  /** Notes for the user on how the files were read, and on their labels. */
  notes: string[];
  labels: string[];
  /** The number of tokens that texts are cut to, `[CLS]` and `[SEP]` included. */
  max_length: number;
  /** The names of the labels from `labels.json`; without it the labels. */
  label_names: string[];
  files: Partial<Record<Side, FileAudit>>;
  /** The leakage in a sentence. */
  leakage: string;
  overlaps: Overlap[];
  near_duplicates: { method: string; threshold: number };
  /** Labels of other files that the training file does not have. */
  labels_not_in_training: string[];
  /** Examples of training texts with more than one label. */
  conflict_examples: { text: string; labels: string[] }[];
  baselines: {
    measured_on: Side;
    /** The rows that the linear model learned. */
    trained_on: number;
    results: Baseline[];
    /** The reasons why baselines were not measured. */
    left_out: string[];
  };
}

/** Settings of {@link audit}. */
export interface AuditOptions {
  /** Makes a function that counts a text's word pieces, from the training texts. */
  wordPieceCounter: (trainingTexts: readonly string[]) => (text: string) => number;
  /** The share of the tokens of texts that the base does not know. */
  unknownShare?: (texts: readonly string[]) => number;
  /** The most tokens of a text, `[CLS]` and `[SEP]` included; by default no text is cut. */
  maxLength?: number;
  /** The type of the labels; by default one class per text, the only type with baselines. */
  problemType?: ProblemType;
  columns?: Columns;
  format?: TableFormat;
}

const CONFLICT_EXAMPLES = 10;
const MAX_BARS = 40;
/** The linear baseline learns a sample of at most this many rows. */
const MAX_LINEAR_ROWS = 100_000;
/** Baselines are measured on a sample of at most this many rows: 0.2 points of standard error. */
const MAX_MEASURED_ROWS = 50_000;
const SAMPLE_SEED = 1;
/** Classes times rows that the linear baseline can learn in a minute and a gigabyte. */
const MAX_LINEAR_WORK = 1e7;
const LINEAR_NAME = "TF-IDF + linear SVM";
const LETTER = /\p{L}/u;

/**
 * Examines the files of a data set; the test file may be missing.
 *
 * @throws {UserError} If a file cannot be read.
 */
export async function audit(
  dir: string,
  {
    wordPieceCounter,
    unknownShare,
    maxLength = Infinity,
    problemType = "single_label_classification",
    columns = DEFAULT_COLUMNS,
    format = {},
  }: AuditOptions,
): Promise<AuditReport> {
  // The files of a folder are mostly alike: a note on all of them is given once.
  const notes = new Set<string>();
  const options = { ...format, onNote: (note: string) => void notes.add(note) };
  const read = async (file: string): Promise<Example[]> =>
    (await readExamples(file, problemType, columns, options))
      .map(({ text, label }) => ({ text, label: canonicalLabel(label, problemType) }));
  const classesOf = (rows: readonly Example[]) =>
    rows.flatMap(({ label }) => classNames(label, problemType));
  const paths = {
    train: await splitFile(dir, "train"),
    validation: await splitFile(dir, "validation"),
    test: await labelledTestFile(dir, columns, options),
  };
  const unsplit = await findUnsplitData(dir);
  if (unsplit !== undefined) {
    throw new UserError(
      `Cannot audit '${dir}': it is not split; make a data set of it with ` +
        `'deno task data prepare ${unsplit.file} --out DIR'`,
    );
  }
  const train = await read(paths.train);
  const validation = await read(paths.validation);
  const test = paths.test === undefined ? undefined : await read(paths.test);
  for (
    const note of labelNotes(labelCounts([...train, ...validation, ...test ?? []]), problemType)
  ) {
    notes.add(note);
  }
  const files = new Map<Side, Example[]>([["train", train], ["validation", validation]]);
  if (test !== undefined) files.set("test", test);

  const labelsOf = new Map([...files].map(([side, rows]) => [side, labelsByText(rows)]));
  const trainLabels = labelsOf.get("train")!;
  const near = new NearDuplicates(labelsOf);
  const countPieces = wordPieceCounter(train.map(({ text }) => text));
  const labels = inClassOrder([...files.values()].flatMap(classesOf));
  const known = new Set(classesOf(train));
  const pairs: [Side, Side][] = [
    ["test", "train"],
    ["validation", "train"],
    ["test", "validation"],
  ];
  return {
    dir,
    notes: [...notes],
    labels,
    max_length: maxLength,
    label_names: await labelNames(dir, labels),
    files: Object.fromEntries(
      [...files].map(([side, rows]) => [side, {
        file: basename(paths[side]!),
        ...auditRows(rows, countPieces, maxLength),
        ...auditTexts(side, rows, labelsOf.get(side)!, near),
        unknown_share: unknownShare?.(rows.map(({ text }) => text)) ?? null,
        classes: countEach(labels, classesOf(rows)),
      }]),
    ),
    leakage: leakageLine({ train, validation, test: test ?? [] }, trainLabels),
    overlaps: pairs.filter(([of]) => files.has(of)).map(([of, within]) => ({
      of,
      in: within,
      ...leakageOf(labelsOf.get(within)!, files.get(of)!),
      near: near.rowsOf(files.get(of)!, labelsOf.get(within)!, within),
    })),
    near_duplicates: {
      method: "MinHash on character trigrams, Jaccard similarity",
      threshold: NEAR_THRESHOLD,
    },
    labels_not_in_training: labels.filter((label) => !known.has(label)),
    conflict_examples: conflicts(trainLabels).slice(0, CONFLICT_EXAMPLES),
    baselines: {
      measured_on: test === undefined ? "validation" : "test",
      ...problemType === "single_label_classification"
        ? baselines(train, trainLabels, test ?? validation, labels)
        : { results: [], left_out: [], trained_on: train.length },
    },
  };
}

async function labelNames(dir: string, labels: readonly string[]): Promise<string[]> {
  const file = join(dir, LABELS_FILE);
  if (!await exists(file)) return [...labels];
  const names = await readJson(file, z.record(z.string(), z.string()));
  return labels.map((label, id) => names[id] ?? label);
}

/** The texts that are almost the same, over all files. */
class NearDuplicates {
  readonly #numbers = new Map<string, number>();
  readonly #found: Uint8Array;

  constructor(files: ReadonlyMap<Side, LabelsByText>) {
    const sets: number[] = [];
    for (const [side, texts] of files) {
      for (const text of texts.keys()) {
        const number = this.#numbers.getOrInsert(text, sets.length);
        sets[number] = (sets[number] ?? 0) | bitOf(side);
      }
    }
    this.#found = nearDuplicateSets([...this.#numbers.keys()], Uint8Array.from(sets));
  }

  /** Whether a file has another text that is almost the same. */
  has(text: string, within: Side): boolean {
    return (this.#found[this.#numbers.get(text)!]! & bitOf(within)) !== 0;
  }

  /** Counts the rows that have only a near duplicate among the texts of another file. */
  rowsOf(rows: readonly Example[], others: LabelsByText, within: Side): number {
    return rows.filter(({ text }) => !others.has(text) && this.has(text, within)).length;
  }
}

function bitOf(side: Side): number {
  return 1 << SIDES.indexOf(side);
}

function auditRows(
  rows: readonly Example[],
  countPieces: (text: string) => number,
  maxLength: number,
): Pick<FileAudit, "rows" | "non_text_rows" | "words" | "word_pieces" | "truncated_rows"> {
  const pieces = Uint32Array.from(rows, ({ text }) => countPieces(text));
  return {
    rows: rows.length,
    non_text_rows: rows.filter(({ text }) => !LETTER.test(text)).length,
    words: lengthsOf(Uint32Array.from(rows, ({ text }) => text.trim().split(/\s+/).length)),
    word_pieces: lengthsOf(pieces),
    truncated_rows: pieces.filter((count) => count + 2 > maxLength).length,
  };
}

function auditTexts(
  side: Side,
  rows: readonly Example[],
  labelsOf: LabelsByText,
  near: NearDuplicates,
): Pick<
  FileAudit,
  "distinct_texts" | "duplicate_rows" | "near_duplicate_texts" | "conflicting_texts"
> {
  return {
    distinct_texts: labelsOf.size,
    duplicate_rows: rows.length - labelsOf.size,
    near_duplicate_texts: [...labelsOf.keys()].filter((text) => near.has(text, side)).length,
    conflicting_texts: conflicts(labelsOf).length,
  };
}

function countEach(labels: readonly string[], found: readonly string[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const label of found) counts.set(label, (counts.get(label) ?? 0) + 1);
  return Object.fromEntries(labels.map((label) => [label, counts.get(label) ?? 0]));
}

/** Texts with more than one label. */
function conflicts(labelsOf: LabelsByText): { text: string; labels: string[] }[] {
  return [...labelsOf].filter(([, labels]) => labels.size > 1)
    .map(([text, labels]) => ({ text, labels: inClassOrder(labels) }));
}

function lengthsOf(values: Uint32Array): Lengths {
  const sorted = values.toSorted();
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1]!;
  const max = sorted.at(-1)!;
  // The longest texts are few and would make all other bars thin: they share the last.
  const width = Math.ceil((at(0.995) + 1) / MAX_BARS);
  const counts = new Array<number>(Math.floor(at(0.995) / width) + 1).fill(0);
  for (const value of sorted) counts[Math.min(Math.floor(value / width), counts.length - 1)]!++;
  return {
    mean: sorted.reduce((sum, value) => sum + value, 0) / sorted.length,
    p50: at(0.5),
    p90: at(0.9),
    p95: at(0.95),
    p99: at(0.99),
    max,
    histogram: { width, counts },
  };
}

function baselines(
  train: readonly Example[],
  trainLabels: LabelsByText,
  heldOutRows: readonly Example[],
  labels: readonly string[],
): Pick<AuditReport["baselines"], "results" | "left_out" | "trained_on"> {
  const heldOut = [...sampled(heldOutRows, MAX_MEASURED_ROWS)];
  const numberOf = new Map(labels.map((label, number) => [label, number]));
  const gold = heldOut.map(({ label }) => numberOf.get(label)!);
  const unseen = [...heldOut.keys()].filter((row) => !trainLabels.has(heldOut[row]!.text));
  const figures = (rows: readonly number[], predicted: readonly number[]): BaselineFigures => ({
    n: rows.length,
    ...accuracyAndMacroF1(rows.map((row) => gold[row]!), rows.map((row) => predicted[row]!)),
  });
  const always = (rows: readonly number[]) => {
    const majority = commonest(rows.map((row) => gold[row]!));
    return figures(rows, gold.map(() => majority));
  };
  const all = [...heldOut.keys()];
  const results = [
    { name: "always the commonest class", all: always(all), unseen: always(unseen) },
  ];
  const sample = sampled(train, MAX_LINEAR_ROWS);
  if (labels.length * sample.length > MAX_LINEAR_WORK) {
    const size = `${count(labels.length)} classes and ${count(train.length)} training rows`;
    const leftOut = [`${LINEAR_NAME}: ${size} are too many for it`];
    return { results, left_out: leftOut, trained_on: train.length };
  }
  const linear = LinearBaseline.fit(
    Array.from(sample, ({ text }) => text),
    Array.from(sample, ({ label }) => numberOf.get(label)!),
    labels.length,
  );
  const predicted = heldOut.map(({ text }) => linear.predict(text));
  results.push({
    name: LINEAR_NAME,
    all: figures(all, predicted),
    unseen: figures(unseen, predicted),
  });
  return { results, left_out: [], trained_on: sample.length };
}

function sampled(rows: readonly Example[], count: number): Examples {
  const problemType = "single_label_classification";
  return stratifiedSample(rows, { count, seed: SAMPLE_SEED, problemType });
}

/** Accuracy and, as in `eval`, macro-F1 over the classes predicted or true at least once. */
function accuracyAndMacroF1(
  gold: readonly number[],
  predicted: readonly number[],
): Pick<BaselineFigures, "accuracy" | "f1_macro"> {
  if (gold.length === 0) return { accuracy: null, f1_macro: null };
  /** The counts of each class: right predictions, and times that it is true or predicted. */
  const counts = new Map<number, { right: number; named: number }>();
  const countsOf = (label: number) =>
    counts.getOrInsertComputed(label, () => ({ right: 0, named: 0 }));
  let right = 0;
  for (const [row, label] of gold.entries()) {
    countsOf(label).named++;
    countsOf(predicted[row]!).named++;
    if (label !== predicted[row]) continue;
    countsOf(label).right++;
    right++;
  }
  const f1s = [...counts.values()].map(({ right, named }) => 2 * right / named);
  return {
    accuracy: right / gold.length,
    f1_macro: f1s.reduce((sum, f1) => sum + f1, 0) / f1s.length,
  };
}

/** The most frequent value; of equally frequent ones the first to appear. */
function commonest(values: readonly number[]): number {
  const groups = [...Map.groupBy(values, (value) => value).values()];
  return groups.reduce((most, group) => group.length > most.length ? group : most, [])[0] ?? 0;
}
