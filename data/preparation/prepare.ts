/**
 * Makes a data set from a raw table: normalises texts, pools small classes, splits, and records
 * this in `dataset.json`.
 *
 * @module
 */
import { basename, join } from "node:path";
import { exists, PartialFile } from "../../lib/files.ts";
import { UserError } from "../../lib/user_error.ts";
import { type BadRow, BadRows } from "../bad_rows.ts";
import { labelCounts, LABELS_FILE, SPLIT_FILES, splitFiles } from "../dataset.ts";
import { type ExampleFile, ExampleFileWriter } from "../example_file.ts";
import { type Classes, id2label, labelNames, poolClasses, type PreparedClass } from "./classes.ts";
import type { FullPrepareSettings, PrepareSettings } from "./prepare_settings.ts";
import { RawTable } from "./raw_table.ts";
import { describeFile, type PreparedFile, SideWriter } from "./side_writer.ts";
import {
  balancedRows,
  groupedSplit,
  keepClassesInTraining,
  randomSplit,
  type Side,
  SIDES,
  stratifiedSplit,
} from "./split.ts";
import { type Survey, surveyRows } from "./survey.ts";

/** The file that records how a data set was made. */
export const DATASET_FILE = "dataset.json";

/** The side of a row that goes into no file. */
const DROPPED = 255;

/** Settings of {@link prepare}. */
export interface PreparationOptions {
  settings: PrepareSettings;
  outDir: string;
  /** Whether to replace a data set in the folder. */
  overwrite?: boolean;
  /** Stops the work; nothing half-written is left. */
  signal?: AbortSignal;
  /** Called with notes for the user on the table and its labels. */
  onNote?: (note: string) => void;
}

/** The result of {@link prepare}; the content of {@link DATASET_FILE}. */
export interface PreparedDataset {
  /** The settings with their defaults, under their names in snake_case. */
  settings: Record<string, unknown>;
  /** The raw table; its digest is missing where the files are for one run. */
  input: { file: string; bytes: number; sha256?: string };
  /** Rows at each step. */
  counts: {
    read: number;
    /** Rows that broke a rule and were left out. */
    bad: number;
    /** Rows that were left out by their label. */
    skipped: number;
    /** Rows that normalising left without a text, dropped. */
    emptied: number;
    kept: number;
    distinct_texts: number;
    groups: number;
    /** Training rows before `--balance`. */
    train_before_balance: number;
  };
  /** The first ten rows that were left out. */
  bad_rows: readonly BadRow[];
  /** The classes; none where labels are numbers. */
  classes: PreparedClass[];
  /** Notes for the user on the table and its labels. */
  notes: string[];
  /** The files written; the test file may be left out. */
  files: Record<Exclude<Side, "test">, PreparedFile> & { test?: PreparedFile };
}

/**
 * Prepares a data set. Reads the table twice, once to count and split and once to write, so that
 * memory holds a few numbers for each row and no text.
 *
 * @throws {UserError} If the table is malformed, has bad rows that may not be skipped, changes
 * between the readings, or is too small to split; or if the folder holds a data set.
 */
export async function prepare(
  rawFile: string,
  options: PreparationOptions,
): Promise<PreparedDataset> {
  return (await prepareRows(rawFile, options)).dataset;
}

/** A prepared data set, and its rows if they were kept. */
interface PreparedRows {
  dataset: PreparedDataset;
  /** The rows of each side, which may have none. */
  rows: Record<Side, ExampleFile> | undefined;
}

/**
 * Prepares a data set as {@link prepare} does, but without its tables: the rows stand in a file of
 * their own, and the raw table is read once.
 *
 * @param rowsFile The file for the rows.
 */
export async function prepareRowsFile(
  rawFile: string,
  rowsFile: string,
  options: PreparationOptions,
): Promise<{ dataset: PreparedDataset; rows: Record<Side, ExampleFile> }> {
  const { dataset, rows } = await prepareRows(rawFile, options, rowsFile);
  return { dataset, rows: rows! };
}

async function prepareRows(
  rawFile: string,
  options: PreparationOptions,
  rowsFile?: string,
): Promise<PreparedRows> {
  const { outDir, overwrite = false } = options;
  const earlier = await earlierFiles(outDir, overwrite);
  const notes: string[] = [];
  const onNote = (note: string) => {
    notes.push(note);
    options.onNote?.(note);
  };
  const { settings: given, signal } = options;
  const isDigested = rowsFile === undefined;
  await using first = await RawTable.open(rawFile, given, { signal, onNote, isDigested });
  const { settings } = first;
  checkRatios(settings);
  const names = await labelNames(settings.labelNames);

  using writer = rowsFile === undefined ? undefined : ExampleFileWriter.create(rowsFile);
  const survey = await surveyRows(first, (row) => writer?.add(row));
  checkLeftOut(rawFile, survey, settings, onNote);
  const classes = poolClasses(survey, settings, names, onNote);
  const { sides, trainBeforeBalance } = splitRows(rawFile, survey, classes, settings);
  const usedSides = SIDES.slice(0, settings.testRatio === 0 ? 2 : 3);

  await Deno.mkdir(outDir, { recursive: true });
  await using output = new AsyncDisposableStack();
  const partial = async (file: string) => output.use(await PartialFile.create(join(outDir, file)));
  const rows = writer && rowsBySide(writer.finish(), survey, classes, sides);
  const writers: SideWriter[] = [];
  if (rows === undefined) {
    for (const side of usedSides) {
      const name = SPLIT_FILES[side];
      writers.push(new SideWriter(name, await partial(name), settings.problemType));
    }
    await writeSides(writers, reread(rawFile, given, survey, signal), survey, classes, sides);
  }
  const [train, validation, test] = rows === undefined
    ? await Promise.all(writers.map((writer) => writer.finish()))
    : usedSides.map((side) =>
      describeFile(SPLIT_FILES[side], labelCounts(rows[side]), settings.problemType)
    );

  const dataset: PreparedDataset = {
    settings: settingsRecord(settings),
    input: { file: basename(rawFile), bytes: survey.bytes, ...survey.digest },
    counts: { ...countsOf(survey), train_before_balance: trainBeforeBalance },
    bad_rows: survey.badRows.first,
    classes: classes.list,
    notes,
    files: { train: train!, validation: validation!, ...(test !== undefined && { test }) },
  };
  const labelNamesFile = await partial(LABELS_FILE);
  const datasetFile = await partial(DATASET_FILE);
  await labelNamesFile.write(jsonBytes(id2label(classes.list)));
  await datasetFile.write(jsonBytes(dataset));
  signal?.throwIfAborted();
  // The training file is removed first and written last: without it a folder is no data set, so old
  // and new files never pass for one.
  for (const file of earlier) await Deno.remove(file);
  await labelNamesFile.publish();
  await datasetFile.publish();
  for (const writer of writers.reverse()) await writer.publish();
  return { dataset, rows };
}

function checkRatios({ testRatio, valRatio }: FullPrepareSettings): void {
  if (testRatio + valRatio < 1) return;
  throw new UserError(
    `Cannot use --test-ratio ${testRatio} and --val-ratio ${valRatio}: together they must be less ` +
      "than 1",
  );
}

/**
 * Reports the rows that were left out.
 *
 * @throws {UserError} If there are bad rows that may not be skipped.
 */
function checkLeftOut(
  rawFile: string,
  { badRows, skipped }: Survey,
  { skipBadRows }: FullPrepareSettings,
  onNote: (note: string) => void,
): void {
  if (!skipBadRows) {
    badRows.check(": --skip-bad-rows leaves them out", "; --skip-bad-rows leaves it out");
  }
  if (badRows.count > 0) onNote(badRows.note());
  const skippedNote = skipped.note(rawFile);
  if (skippedNote !== undefined) onNote(skippedNote);
}

/** Writes each text, with its label, on its side. */
async function writeSides(
  writers: readonly SideWriter[],
  texts: AsyncIterable<string>,
  { rawLabels }: Survey,
  { labelOfRaw }: Classes,
  sides: Uint8Array,
): Promise<void> {
  let row = 0;
  for await (const text of texts) {
    const side = sides[row]!;
    if (side !== DROPPED) await writers[side]!.add(text, labelOfRaw[rawLabels[row]!]!);
    row++;
  }
}

function countsOf(
  { read, badRows, skipped, rawLabels, distinctTexts, groupCount }: Survey,
): Omit<PreparedDataset["counts"], "train_before_balance"> {
  return {
    read: read + badRows.count + skipped.count,
    bad: badRows.count,
    skipped: skipped.count,
    emptied: read - rawLabels.length,
    kept: rawLabels.length,
    distinct_texts: distinctTexts,
    groups: groupCount,
  };
}

/**
 * The texts of a table that was read before.
 *
 * @throws {UserError} If it has changed since.
 */
async function* reread(
  rawFile: string,
  settings: PrepareSettings,
  { rawLabels, digest }: Survey,
  signal: AbortSignal | undefined,
): AsyncGenerator<string> {
  const changed = new UserError(`Cannot prepare '${rawFile}': it changed while it was read`);
  let row = 0;
  await using table = await RawTable.open(rawFile, settings, { signal, isDigested: true });
  for await (const { text } of table.rows(new BadRows(rawFile))) {
    if (text.trim() === "") continue;
    if (row++ === rawLabels.length) throw changed;
    yield text;
  }
  if (table.digest.sha256 !== digest.sha256) throw changed;
}

/** The rows of each side, with the labels that they have in the files. */
function rowsBySide(
  rows: ExampleFile,
  { labels }: Survey,
  { labelOfRaw }: Classes,
  sides: Uint8Array,
): Record<Side, ExampleFile> {
  const written = new Map(labels.map((label, raw) => [label, labelOfRaw[raw]!]));
  const labelled = rows.withLabels((label) => written.get(label)!);
  const rowsOf = (side: number) => {
    const indices = new Uint32Array(sides.length);
    let count = 0;
    for (let row = 0; row < sides.length; row++) if (sides[row] === side) indices[count++] = row;
    return labelled.select(indices.slice(0, count));
  };
  return { train: rowsOf(0), validation: rowsOf(1), test: rowsOf(2) };
}

/**
 * The files of a data set that a folder holds, the training file first.
 *
 * @throws {UserError} If there are some that may not be replaced.
 */
async function earlierFiles(dir: string, overwrite: boolean): Promise<string[]> {
  const files = [
    ...SIDES.flatMap((side) => splitFiles(dir, side)),
    join(dir, LABELS_FILE),
    join(dir, DATASET_FILE),
  ];
  const found: string[] = [];
  for (const file of files) if (await exists(file)) found.push(file);
  if (!overwrite && found.length > 0) {
    throw new UserError(
      `Cannot write to '${dir}': it holds '${basename(found[0]!)}'; use --overwrite`,
    );
  }
  return found;
}

/** The side of each row, or that it goes into no file. */
function splitRows(
  rawFile: string,
  { rawLabels, groups }: Survey,
  { list, classesOfRaw }: Classes,
  settings: FullPrepareSettings,
): { sides: Uint8Array; trainBeforeBalance: number } {
  const { problemType, seed } = settings;
  const cannot = (rule: string) =>
    new UserError(`Cannot split '${rawFile}' with ${rawLabels.length} rows: ${rule}`);
  if (problemType === "single_label_classification" && list.length < 2) {
    throw cannot(`expected at least two classes, found only '${list[0]?.name ?? ""}'`);
  }
  // A row with several classes counts for the rarest; rows without one form a stratum.
  const stratumOfRaw = classesOfRaw.map((classes) =>
    classes.reduce(
      (rarest, it) => list[it]!.rows < (list[rarest]?.rows ?? Infinity) ? it : rarest,
      -1,
    )
  ).map((index) => index < 0 ? list.length : index);
  const strata = rawLabels.map((raw) => stratumOfRaw[raw]!);
  const sides = settings.split === "random"
    ? randomSplit(strata, settings)
    : settings.split === "stratified"
    ? stratifiedSplit(strata, settings)
    : groupedSplit(strata, groups, settings);
  const isByRow = settings.split !== "grouped";
  keepClassesInTraining(
    sides,
    isByRow ? Int32Array.from(groups.keys()) : groups,
    (row) => classesOfRaw[rawLabels[row]!]!,
  );
  const trainBeforeBalance = sides.reduce((count, side) => count + Number(side === 0), 0);
  for (const [side, name] of SIDES.entries()) {
    const isWanted = name !== "test" || settings.testRatio > 0;
    if (isWanted && !sides.includes(side)) {
      throw cannot(
        `no row would be left for the ${name} file, as each class keeps a row in training` +
          (isByRow ? "" : ` and rows of one ${settings.group ?? "text"} stay together`) +
          "; 'data prepare --min-class-count 2' pools the classes of one row",
      );
    }
  }
  if (settings.balance) {
    const keep = balancedRows(strata, sides, seed);
    for (const [row, isKept] of keep.entries()) if (!isKept) sides[row] = DROPPED;
  }
  return { sides, trainBeforeBalance };
}

function settingsRecord(settings: FullPrepareSettings): Record<string, unknown> {
  return {
    recipe: settings.recipe ?? null,
    text: settings.text,
    label: settings.label,
    problem_type: settings.problemType,
    delimiter: settings.delimiter ?? null,
    encoding: settings.encoding ?? null,
    skip_bad_rows: settings.skipBadRows,
    skip_labels: settings.skipLabels ?? null,
    normalize_labels: settings.normalizeLabels,
    group: settings.group ?? null,
    stopwords: settings.stopwords,
    strip_punctuation: settings.stripPunctuation,
    lowercase: settings.lowercase,
    latin_words: settings.latinWords,
    min_class_quantile: settings.minClassQuantile,
    min_class_count: settings.minClassCount ?? null,
    top_classes: settings.topClasses ?? null,
    label_names: settings.labelNames ?? null,
    split: settings.split,
    test_ratio: settings.testRatio,
    val_ratio: settings.valRatio,
    balance: settings.balance,
    seed: settings.seed,
  };
}

function jsonBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value, null, 2) + "\n");
}
