/**
 * Makes a data set from a raw table: normalises texts, pools small classes, splits, and records
 * this in `dataset.json`.
 *
 * @module
 */
import { createHash, type Hash, hash } from "node:crypto";
import { basename, join } from "node:path";
import { z } from "zod";
import { type BadRow, BadRows } from "../bad_rows.ts";
import { columnsNote, findColumn } from "../columns.ts";
import { type ExampleFile, ExampleFileWriter } from "../example_file.ts";
import type { Example } from "../examples.ts";
import { CsvBlocks } from "../csv_file.ts";
import { inClassOrder, labelCounts, LABELS_FILE, SPLIT_FILES, splitFiles } from "../dataset.ts";
import { exists, PartialFile, readJson } from "../../lib/files.ts";
import { LabelNormaliser, labelNotes, normalisedLabelFault } from "../label_spelling.ts";
import { classNames, joinClassNames, labelFault } from "../labels.ts";
import { DuplicateNumbers } from "./duplicates.ts";
import { normaliser } from "./normalise.ts";
import {
  type FullPrepareSettings,
  type PrepareSettings,
  withPrepareDefaults,
} from "./prepare_settings.ts";
import { openTable, type Table } from "../table.ts";
import {
  balancedRows,
  groupedSplit,
  keepClassesInTraining,
  randomSplit,
  type Side,
  SIDES,
  stratifiedSplit,
} from "./split.ts";
import { UserError } from "../../lib/user_error.ts";
import { YOUTUBE_CATEGORIES } from "./youtube_categories.ts";

/** The file that records how a data set was made. */
export const DATASET_FILE = "dataset.json";

/** The class of pooled labels. */
const OTHER = "other";
/** The side of a row that goes into no file. */
const DROPPED = 255;

/** Settings of {@link prepare}. */
export interface PrepareOptions {
  settings: PrepareSettings;
  outDir: string;
  /** Whether to replace a data set in the folder. */
  overwrite?: boolean;
  /** Stops the work; nothing half-written is left. */
  signal?: AbortSignal;
  /** Called with notes for the user on the table and its labels. */
  onNote?: (note: string) => void;
}

/** A class and where it comes from. */
export interface PreparedClass {
  /** The label in the files. */
  label: string;
  name: string;
  /** The labels of the raw file that became it, the commonest first. */
  raw: string[];
  rows: number;
}

/** One of the files written. */
export interface PreparedFile {
  file: string;
  rows: number;
  /** Rows by label. */
  classes: Record<string, number>;
  /** Missing where the files are for one run, which has a digest of its data. */
  sha256?: string;
}

/** The result of {@link prepare}; the content of {@link DATASET_FILE}. */
export interface PreparedDataset {
  settings: Record<string, unknown>;
  /** The raw table; its digest is missing where the files are for one run. */
  input: { file: string; bytes: number; sha256?: string };
  /** Rows at each step. */
  counts: {
    read: number;
    /** Rows that broke a rule and were left out. */
    bad: number;
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
export async function prepare(rawFile: string, options: PrepareOptions): Promise<PreparedDataset> {
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
  options: PrepareOptions,
): Promise<{ dataset: PreparedDataset; rows: Record<Side, ExampleFile> }> {
  const { dataset, rows } = await prepareRows(rawFile, options, rowsFile);
  return { dataset, rows: rows! };
}

async function prepareRows(
  rawFile: string,
  options: PrepareOptions,
  rowsFile?: string,
): Promise<PreparedRows> {
  const { outDir, overwrite = false } = options;
  const earlier = await earlierFiles(outDir);
  if (!overwrite && earlier.length > 0) {
    throw new UserError(
      `Cannot write to '${outDir}': it holds '${basename(earlier[0]!)}'; use --overwrite`,
    );
  }
  const notes: string[] = [];
  const onNote = (note: string) => {
    notes.push(note);
    options.onNote?.(note);
  };
  const { settings: given, signal } = options;
  const isDigested = rowsFile === undefined;
  await using first = await RawTable.open(rawFile, given, { signal, onNote, isDigested });
  const { settings } = first;
  if (settings.testRatio + settings.valRatio >= 1) {
    throw new UserError(
      `Cannot use --test-ratio ${settings.testRatio} and --val-ratio ${settings.valRatio}: ` +
        "together they must be less than 1",
    );
  }
  const names = await labelNames(settings.labelNames);

  using writer = rowsFile === undefined ? undefined : ExampleFileWriter.create(rowsFile);
  const survey = await surveyRows(first, (row) => writer?.add(row));
  if (!settings.skipBadRows) survey.badRows.check();
  if (survey.badRows.count > 0) onNote(survey.badRows.note());
  const classes = poolClasses(survey, settings, names, onNote);
  const { sides, trainBeforeBalance } = splitRows(rawFile, survey, classes, settings);
  const usedSides = SIDES.slice(0, settings.testRatio === 0 ? 2 : 3);

  await Deno.mkdir(outDir, { recursive: true });
  await using output = new AsyncDisposableStack();
  const partial = async (file: string) => output.use(await PartialFile.create(join(outDir, file)));
  const { rawLabels } = survey;
  const rows = writer && rowsBySide(writer.finish(), survey, classes, sides);
  const writers: SideWriter[] = [];
  if (rows === undefined) {
    for (const side of usedSides) {
      writers.push(new SideWriter(SPLIT_FILES[side], await partial(SPLIT_FILES[side])));
    }
    let row = 0;
    for await (const text of reread(rawFile, given, survey, signal)) {
      const side = sides[row]!;
      if (side !== DROPPED) await writers[side]!.add(text, classes.labelOfRaw[rawLabels[row]!]!);
      row++;
    }
  }
  const [train, validation, test] = rows === undefined
    ? await Promise.all(writers.map((writer) => writer.finish()))
    : usedSides.map((side) => describe(SPLIT_FILES[side], labelCounts(rows[side])));

  const dataset: PreparedDataset = {
    settings: settingsRecord(settings),
    input: { file: basename(rawFile), bytes: survey.bytes, ...survey.digest },
    counts: {
      read: survey.read + survey.badRows.count,
      bad: survey.badRows.count,
      emptied: survey.read - rawLabels.length,
      kept: rawLabels.length,
      distinct_texts: survey.distinctTexts,
      groups: survey.groupCount,
      train_before_balance: trainBeforeBalance,
    },
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

/** The files of a data set that a folder holds, the training file first. */
async function earlierFiles(dir: string): Promise<string[]> {
  const files = [
    ...SIDES.flatMap((side) => splitFiles(dir, side)),
    join(dir, LABELS_FILE),
    join(dir, DATASET_FILE),
  ];
  const found: string[] = [];
  for (const file of files) if (await exists(file)) found.push(file);
  return found;
}

/** A row of the raw table as the recipe sees it. */
interface RawRow {
  /** Normalised; empty if nothing was left. */
  text: string;
  label: string;
  /** The value of the group column, if there is one. */
  group: string | undefined;
}

/** The hash, if it is wanted, and the number of the bytes read. */
interface ReadBytes {
  hash: Hash | undefined;
  count: number;
}

/** A reading of the raw table. */
class RawTable implements AsyncDisposable {
  readonly file: string;
  /** The settings with the defaults and columns of this file. */
  readonly settings: FullPrepareSettings;
  readonly #table: Table;
  readonly #read: ReadBytes;
  /** The SHA-256 of the file when all has been read, if it is wanted. */
  digest: { sha256?: string } = {};
  /** The size of the file when all has been read. */
  bytes = 0;

  private constructor(file: string, settings: FullPrepareSettings, table: Table, read: ReadBytes) {
    this.file = file;
    this.settings = settings;
    this.#table = table;
    this.#read = read;
  }

  static async open(
    file: string,
    given: PrepareSettings,
    { signal, onNote = () => {}, isDigested }: Pick<PrepareOptions, "onNote"> & {
      signal: AbortSignal | undefined;
      isDigested: boolean;
    },
  ): Promise<RawTable> {
    const wanted = [...given.text?.split(",") ?? [], given.label ?? []].flat();
    const read = { hash: isDigested ? createHash("sha256") : undefined, count: 0 };
    const table = await openTable(file, {
      ...given,
      wanted: wanted.map((name) => name.trim()),
      onBytes: (piece) => {
        signal?.throwIfAborted();
        read.hash?.update(piece);
        read.count += piece.length;
      },
      onNote,
    });
    try {
      const settings = fullSettings(file, given, table.columns, onNote);
      return new RawTable(file, settings, table, read);
    } catch (error) {
      await table[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** @param badRows Collects the rows that break a rule. */
  async *rows(badRows: BadRows): AsyncGenerator<RawRow> {
    const { text, label: labelColumn, group: groupColumn, problemType, normalizeLabels } =
      this.settings;
    const textColumns = text.split(",").map((name) => name.trim());
    const columns = [...textColumns, labelColumn, groupColumn ?? []].flat();
    const labelFaultOf = normalizeLabels ? normalisedLabelFault : labelFault;
    const normalise = normaliser(this.settings);
    const lists = problemType === "multi_label_classification" ? [labelColumn] : [];
    for await (const { values, line } of this.#table.rows(columns, { badRows, lists })) {
      const text = textColumns.map((column) => values[column]!).join(" ");
      const label = values[labelColumn]!.trim();
      const group = groupColumn === undefined ? undefined : values[groupColumn]!;
      const fault = text.trim() === "" ? "the text is empty" : labelFaultOf(label, problemType) ??
        (group === "" ? `'${groupColumn}' is empty` : undefined);
      if (fault !== undefined) badRows.add(line, fault);
      else yield { text: normalise(text), label, group };
    }
    const { hash, count } = this.#read;
    this.digest = hash === undefined ? {} : { sha256: hash.digest("hex") };
    this.bytes = count;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#table[Symbol.asyncDispose]();
  }
}

/** The settings with the defaults and columns of a file. */
function fullSettings(
  file: string,
  given: PrepareSettings,
  header: readonly string[],
  onNote: (note: string) => void,
): FullPrepareSettings {
  const settings = withPrepareDefaults(given, header);
  if (header.length === 0) return settings;
  const columns = {
    text: settings.text.includes(",")
      ? settings.text
      : findColumn(file, header, "text", settings.text.trim()),
    label: findColumn(file, header, "label", settings.label.trim()),
  };
  const note = columnsNote(columns);
  const isGiven = given.text === columns.text && given.label === columns.label;
  if (note !== undefined && !isGiven && !settings.text.includes(",")) onNote(note);
  return { ...settings, ...columns };
}

/** The findings of one reading of the table. */
interface Survey {
  /** Sound rows. */
  read: number;
  badRows: BadRows;
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

/** @param keep Called with each row that has a text. */
async function surveyRows(table: RawTable, keep: (row: Example) => void): Promise<Survey> {
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

/** The classes, and the raw labels' places in them. */
interface Classes {
  list: PreparedClass[];
  /** The written label of each raw one, by index into {@link Survey.labels}. */
  labelOfRaw: string[];
  /** The classes of each raw label, by index into {@link Survey.labels}, as indices into `list`. */
  classesOfRaw: number[][];
}

/**
 * Makes classes, in order of size, of the names whose rows reach the quantile of all names' rows,
 * and the other limits; pools the rest.
 *
 * The files hold the names, or numbers with the published recipe.
 */
function poolClasses(
  survey: Survey,
  settings: FullPrepareSettings,
  names: Readonly<Record<string, string>>,
  onNote: (note: string) => void,
): Classes {
  const { problemType, minClassCount = 0, topClasses = Infinity } = settings;
  const rowsOfRaw = new Array<number>(survey.labels.length).fill(0);
  for (const raw of survey.rawLabels) rowsOfRaw[raw]!++;
  const counts = new Map(survey.labels.map((label, raw) => [label, rowsOfRaw[raw]!]));
  const normaliser = settings.normalizeLabels
    ? new LabelNormaliser(counts, problemType)
    : undefined;
  if (normaliser === undefined) labelNotes(counts, problemType).forEach(onNote);
  const written = survey.labels.map((label) => normaliser?.apply(label) ?? label);

  /** The names in the table, with their rows and the raw labels that name them. */
  const found = new Map<string, { rows: number; raw: number[] }>();
  for (const [raw, label] of written.entries()) {
    for (const name of classNames(label, problemType)) {
      const entry = found.getOrInsertComputed(name, () => ({ rows: 0, raw: [] }));
      entry.rows += rowsOfRaw[raw]!;
      entry.raw.push(raw);
    }
  }
  const bySize = [...found].sort(([, a], [, b]) => b.rows - a.rows);
  const threshold = Math.max(
    minClassCount,
    found.size === 0 ? 0 : quantile(bySize.map(([, { rows }]) => rows), settings.minClassQuantile),
  );

  const list: PreparedClass[] = [];
  const indexOfName = new Map<string, number>();
  const indexOfLabel = new Map<string, number>();
  let nextNumber = 0;
  for (const [rawName, { rows, raw }] of bySize) {
    const isKept = rows >= threshold && nextNumber < topClasses;
    const known = Object.hasOwn(names, rawName) ? names[rawName]! : rawName;
    const name = isKept ? known : OTHER;
    const number = isKept ? nextNumber++ : nextNumber;
    const label = settings.recipe === "published" ? String(number) : name;
    const index = indexOfLabel.getOrInsertComputed(label, () => list.length);
    if (index === list.length) list.push({ label, name, raw: [], rows: 0 });
    list[index]!.raw.push(
      ...problemType === "multi_label_classification"
        ? [rawName]
        : raw.sort((a, b) => rowsOfRaw[b]! - rowsOfRaw[a]!).map((it) => survey.labels[it]!),
    );
    list[index]!.rows += rows;
    indexOfName.set(rawName, index);
  }
  const classesOfRaw = written.map((label) => [
    ...new Set(classNames(label, problemType).map((name) => indexOfName.get(name)!)),
  ]);
  const labelOfRaw = written.map((label, raw) =>
    problemType === "regression"
      ? label
      : joinClassNames(classesOfRaw[raw]!.map((index) => list[index]!.label))
  );
  return { list, labelOfRaw, classesOfRaw };
}

/** The value below which a share of the values lie, interpolated as in NumPy and pandas. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)]!;
  const above = sorted[Math.ceil(place)]!;
  return below + (place - Math.floor(place)) * (above - below);
}

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
    throw cannot("expected at least two classes");
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
      throw cannot(`no row would be left for the ${name} file`);
    }
  }
  if (settings.balance) {
    const keep = balancedRows(strata, sides, seed);
    for (const [row, isKept] of keep.entries()) if (!isKept) sides[row] = DROPPED;
  }
  return { sides, trainBeforeBalance };
}

/** Writes the rows of one side. */
class SideWriter {
  readonly #name: string;
  readonly #file: PartialFile;
  readonly #digest = createHash("sha256");
  readonly #classes = new Map<string, number>();
  readonly #blocks = new CsvBlocks();

  constructor(name: string, file: PartialFile) {
    this.#name = name;
    this.#file = file;
    this.#blocks.add(["text", "label"]);
  }

  async add(text: string, label: string): Promise<void> {
    this.#classes.set(label, (this.#classes.get(label) ?? 0) + 1);
    const block = this.#blocks.add([text, label]);
    if (block !== undefined) await this.#write(block);
  }

  async finish(): Promise<PreparedFile> {
    await this.#write(this.#blocks.rest());
    return { ...describe(this.#name, this.#classes), sha256: this.#digest.digest("hex") };
  }

  async publish(): Promise<void> {
    await this.#file.publish();
  }

  async #write(block: string): Promise<void> {
    const bytes = new TextEncoder().encode(block);
    this.#digest.update(bytes);
    await this.#file.write(bytes);
  }
}

function describe(file: string, classes: ReadonlyMap<string, number>): PreparedFile {
  return {
    file,
    rows: classes.values().reduce((sum, rows) => sum + rows, 0),
    classes: Object.fromEntries([...classes].sort(([a], [b]) => a < b ? -1 : 1)),
  };
}

const LabelNames = z.record(z.string(), z.string());

/** @throws {UserError} If it is not `youtube`, names in JSON, or a file of such JSON. */
async function labelNames(value: string | undefined): Promise<Record<string, string>> {
  if (value === undefined) return {};
  if (value === "youtube") return YOUTUBE_CATEGORIES;
  if (!value.startsWith("{")) return await readJson(value, LabelNames);
  try {
    return LabelNames.parse(JSON.parse(value));
  } catch {
    throw new UserError(`Cannot use --label-names ${value}: expected JSON such as {"10": "Music"}`);
  }
}

/** The classes' names by their numbers in training. */
function id2label(classes: readonly PreparedClass[]): Record<string, string> {
  const nameOf = new Map(classes.map(({ label, name }) => [label, name]));
  const labels = inClassOrder(nameOf.keys());
  return Object.fromEntries(labels.map((label, id) => [id, nameOf.get(label)!]));
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
