/**
 * Makes a data set from a raw table: normalises texts, pools small classes, splits, and says in
 * `dataset.json` what it did.
 *
 * @module
 */
import { stringify } from "csv-stringify/sync";
import { createHash, hash } from "node:crypto";
import { basename, join } from "node:path";
import { z } from "zod";
import { inClassOrder, LABELS_FILE, SPLIT_FILES, splitFiles } from "../dataset.ts";
import { exists, PartialFile, readJson } from "../../lib/files.ts";
import { duplicateKey, normaliser } from "./normalise.ts";
import {
  type FullPrepareSettings,
  type PrepareSettings,
  withPrepareDefaults,
} from "./prepare_settings.ts";
import { readRows } from "../table.ts";
import { balancedRows, groupedSplit, randomSplit, SIDES, stratifiedSplit } from "./split.ts";
import { readError } from "../text_blocks.ts";
import { UserError } from "../../lib/user_error.ts";
import { YOUTUBE_CATEGORIES } from "./youtube_categories.ts";

/** The file that says how a data set was made. */
export const DATASET_FILE = "dataset.json";

/** The class of pooled labels. */
const OTHER = "other";
const WRITE_ROWS = 4096;
/** The side of a row that is in no file. */
const DROPPED = 255;

/** What {@link prepare} needs. */
export interface PrepareOptions {
  settings: PrepareSettings;
  outDir: string;
  /** Whether the folder may hold a data set already, which is replaced. */
  overwrite?: boolean;
  /** Stops the work; nothing half-written is left. */
  signal?: AbortSignal;
}

/** A class and where it comes from. */
export interface PreparedClass {
  /** As it stands in the files. */
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
  sha256: string;
}

/** What {@link prepare} did; the content of {@link DATASET_FILE}. */
export interface PreparedDataset {
  settings: Record<string, unknown>;
  input: { file: string; bytes: number; sha256: string };
  /** Rows at each step. */
  counts: {
    read: number;
    /** Rows that normalising left without a text, which are dropped. */
    emptied: number;
    kept: number;
    distinct_texts: number;
    groups: number;
    /** Training rows before `--balance`. */
    train_before_balance: number;
  };
  classes: PreparedClass[];
  files: Record<(typeof SIDES)[number], PreparedFile>;
}

/**
 * Reads a raw table twice, once to count and split and once to write, so that memory holds a few
 * numbers for each row and no text.
 *
 * @throws {UserError} If the table is malformed, has an empty text or label, changes between the
 * readings, or is too small to split; or if the folder holds a data set.
 */
export async function prepare(rawFile: string, options: PrepareOptions): Promise<PreparedDataset> {
  const { outDir, overwrite = false, signal } = options;
  const settings = withPrepareDefaults(options.settings);
  if (settings.testRatio + settings.valRatio >= 1) {
    throw new UserError(
      `Cannot use --test-ratio ${settings.testRatio} and --val-ratio ${settings.valRatio}: ` +
        "together they must be less than 1",
    );
  }
  const names = await labelNames(settings.labelNames);
  const earlier = await earlierFiles(outDir);
  if (!overwrite && earlier.length > 0) {
    throw new UserError(
      `Cannot write to '${outDir}': it holds '${basename(earlier[0]!)}'; use --overwrite`,
    );
  }

  const table = new RawTable(rawFile, settings, signal);
  const survey = await surveyRows(table);
  const classes = poolClasses(survey, settings, names);
  const labels = survey.rawLabels.map((raw) => classes.indexOfRaw[raw]!);
  const { sides, trainBeforeBalance } = splitRows(rawFile, labels, survey.groups, settings);

  await Deno.mkdir(outDir, { recursive: true });
  await using output = new AsyncDisposableStack();
  const partial = async (file: string) => output.use(await PartialFile.create(join(outDir, file)));
  const writers: SideWriter[] = [];
  for (const side of SIDES) {
    writers.push(new SideWriter(SPLIT_FILES[side], await partial(SPLIT_FILES[side])));
  }
  const changed = new UserError(`Cannot prepare '${rawFile}': it changed while it was read`);
  let row = 0;
  for await (const { text } of table.rows()) {
    if (text.trim() === "") continue;
    if (row === labels.length) throw changed;
    const side = sides[row]!;
    if (side !== DROPPED) await writers[side]!.add(text, classes.list[labels[row]!]!.label);
    row++;
  }
  if (table.sha256 !== survey.sha256) throw changed;
  const files = await Promise.all(writers.map((writer) => writer.finish()));

  const dataset: PreparedDataset = {
    settings: settingsRecord(settings),
    input: { file: basename(rawFile), bytes: survey.bytes, sha256: survey.sha256 },
    counts: {
      read: survey.read,
      emptied: survey.read - labels.length,
      kept: labels.length,
      distinct_texts: survey.distinctTexts,
      groups: survey.groupCount,
      train_before_balance: trainBeforeBalance,
    },
    classes: classes.list,
    files: { train: files[0]!, validation: files[1]!, test: files[2]! },
  };
  const labelNamesFile = await partial(LABELS_FILE);
  const datasetFile = await partial(DATASET_FILE);
  await labelNamesFile.write(jsonBytes(id2label(classes.list)));
  await datasetFile.write(jsonBytes(dataset));
  signal?.throwIfAborted();
  // The training file goes first and comes last: without it a folder is no data set, so that what
  // is old and what is new never pass for one.
  for (const file of earlier) await Deno.remove(file);
  await labelNamesFile.publish();
  await datasetFile.publish();
  for (const writer of writers.reverse()) await writer.publish();
  return dataset;
}

/** What of a data set a folder holds, the training file first. */
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
  /** Normalised; empty where nothing was left. */
  text: string;
  label: string;
  /** The value of the group column, where there is one. */
  group: string | undefined;
}

/** The raw table, which can be read more than once. */
class RawTable {
  readonly #file: string;
  readonly #textColumns: string[];
  readonly #labelColumn: string;
  readonly #groupColumn: string | undefined;
  readonly #normalise: (text: string) => string;
  readonly #signal: AbortSignal | undefined;
  /** Of the last reading. */
  sha256 = "";
  /** Of the last reading. */
  bytes = 0;

  constructor(file: string, settings: FullPrepareSettings, signal: AbortSignal | undefined) {
    this.#file = file;
    this.#textColumns = settings.text.split(",").map((name) => name.trim());
    this.#labelColumn = settings.label;
    this.#groupColumn = settings.group;
    this.#normalise = normaliser(settings);
    this.#signal = signal;
  }

  async *rows(): AsyncGenerator<RawRow> {
    const columns = [...this.#textColumns, this.#labelColumn];
    if (this.#groupColumn !== undefined) columns.push(this.#groupColumn);
    const digest = createHash("sha256");
    this.bytes = 0;
    const onBytes = (bytes: Uint8Array) => {
      this.#signal?.throwIfAborted();
      digest.update(bytes);
      this.bytes += bytes.length;
    };
    for await (const { values, line } of readRows(this.#file, columns, { onBytes })) {
      const text = this.#textColumns.map((column) => values[column]!).join(" ");
      const label = values[this.#labelColumn]!.trim();
      const group = this.#groupColumn === undefined ? undefined : values[this.#groupColumn]!;
      if (text.trim() === "") throw readError(this.#file, "the text is empty", line);
      if (label === "") throw readError(this.#file, "the label is empty", line);
      if (group === "") throw readError(this.#file, `'${this.#groupColumn}' is empty`, line);
      yield { text: this.#normalise(text), label, group };
    }
    this.sha256 = digest.digest("hex");
  }
}

/** What one reading of the table finds. */
interface Survey {
  read: number;
  bytes: number;
  sha256: string;
  /** The distinct raw labels in order of appearance. */
  labels: string[];
  /** The raw label of each kept row, as an index into `labels`. */
  rawLabels: Int32Array;
  /** The group of each kept row. */
  groups: Int32Array;
  groupCount: number;
  distinctTexts: number;
}

async function surveyRows(table: RawTable): Promise<Survey> {
  const labels = new Numbering();
  const groups = new Numbering();
  const texts = new Numbering();
  const rawLabels: number[] = [];
  const rowGroups: number[] = [];
  let read = 0;
  for await (const { text, label, group } of table.rows()) {
    read++;
    if (text.trim() === "") continue;
    rawLabels.push(labels.of(label));
    const textNumber = texts.of(digestOf(duplicateKey(text)));
    rowGroups.push(group === undefined ? textNumber : groups.of(digestOf(group)));
  }
  const groupCount = groups.size === 0 ? texts.size : groups.size;
  return {
    read,
    bytes: table.bytes,
    sha256: table.sha256,
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

/** Stands for a text of any length in 28 characters. */
function digestOf(text: string): string {
  return hash("sha1", text, "base64");
}

/** The classes, and the class of each raw label. */
interface Classes {
  list: PreparedClass[];
  /** By index into {@link Survey.labels}, an index into `list`. */
  indexOfRaw: number[];
}

/**
 * Raw labels whose rows reach the quantile of all labels' rows become classes, in order of size;
 * the rest are pooled.
 *
 * The published recipe writes numbers to the files; otherwise it is the names.
 */
function poolClasses(
  survey: Survey,
  settings: FullPrepareSettings,
  names: Readonly<Record<string, string>>,
): Classes {
  const rows = new Array<number>(survey.labels.length).fill(0);
  for (const raw of survey.rawLabels) rows[raw]!++;
  const threshold = quantile(rows, settings.minClassQuantile);
  const bySize = [...rows.keys()].sort((a, b) => rows[b]! - rows[a]!);

  const list: PreparedClass[] = [];
  const indexOfRaw: number[] = [];
  const indexOfLabel = new Map<string, number>();
  let nextNumber = 0;
  for (const raw of bySize) {
    const rawLabel = survey.labels[raw]!;
    const isKept = rows[raw]! >= threshold;
    const known = Object.hasOwn(names, rawLabel) ? names[rawLabel]! : rawLabel;
    const name = isKept ? known : OTHER;
    const number = isKept ? nextNumber++ : nextNumber;
    const label = settings.recipe === "published" ? String(number) : name;
    const index = indexOfLabel.get(label) ?? list.length;
    if (index === list.length) {
      indexOfLabel.set(label, index);
      list.push({ label, name, raw: [], rows: 0 });
    }
    list[index]!.raw.push(rawLabel);
    list[index]!.rows += rows[raw]!;
    indexOfRaw[raw] = index;
  }
  return { list, indexOfRaw };
}

/** The value below which a share of the values lie, interpolated as NumPy and pandas do. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)]!;
  const above = sorted[Math.ceil(place)]!;
  return below + (place - Math.floor(place)) * (above - below);
}

function splitRows(
  rawFile: string,
  labels: Int32Array,
  groups: Int32Array,
  settings: FullPrepareSettings,
): { sides: Uint8Array; trainBeforeBalance: number } {
  const { seed } = settings;
  const cannot = (rule: string) =>
    new UserError(`Cannot split '${rawFile}' with ${labels.length} rows: ${rule}`);
  if (new Set(labels).size < 2) throw cannot("expected at least two classes");
  const sides = settings.split === "random"
    ? randomSplit(labels, settings)
    : settings.split === "stratified"
    ? stratifiedSplit(labels, settings)
    : groupedSplit(labels, groups, settings);
  const trainBeforeBalance = sides.reduce((count, side) => count + Number(side === 0), 0);
  for (const [side, name] of SIDES.entries()) {
    if (!sides.includes(side)) throw cannot(`no row would be left for the ${name} file`);
  }
  if (settings.balance) {
    const keep = balancedRows(labels, sides, seed);
    for (const [row, isKept] of keep.entries()) if (!isKept) sides[row] = DROPPED;
  }
  return { sides, trainBeforeBalance };
}

/** Writes the rows of one side. */
class SideWriter {
  readonly #name: string;
  readonly #file: PartialFile;
  readonly #digest = createHash("sha256");
  readonly #classes: Record<string, number> = {};
  #pending: [string, string][] = [["text", "label"]];
  #rows = 0;

  constructor(name: string, file: PartialFile) {
    this.#name = name;
    this.#file = file;
  }

  async add(text: string, label: string): Promise<void> {
    this.#pending.push([text, label]);
    this.#rows++;
    const before = Object.hasOwn(this.#classes, label) ? this.#classes[label]! : 0;
    this.#classes[label] = before + 1;
    if (this.#pending.length >= WRITE_ROWS) await this.#flush();
  }

  async finish(): Promise<PreparedFile> {
    await this.#flush();
    const classes = Object.fromEntries(
      Object.entries(this.#classes).sort(([a], [b]) => a < b ? -1 : 1),
    );
    const sha256 = this.#digest.digest("hex");
    return { file: this.#name, rows: this.#rows, classes, sha256 };
  }

  async publish(): Promise<void> {
    await this.#file.publish();
  }

  async #flush(): Promise<void> {
    const bytes = new TextEncoder().encode(stringify(this.#pending));
    this.#pending = [];
    this.#digest.update(bytes);
    await this.#file.write(bytes);
  }
}

const LabelNames = z.record(z.string(), z.string());

/** @throws {UserError} If it is neither `youtube`, nor names in JSON, nor a file of them. */
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

/** The names by the numbers that training gives the classes. */
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
    group: settings.group ?? null,
    stopwords: settings.stopwords,
    strip_punctuation: settings.stripPunctuation,
    lowercase: settings.lowercase,
    latin_words: settings.latinWords,
    min_class_quantile: settings.minClassQuantile,
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
