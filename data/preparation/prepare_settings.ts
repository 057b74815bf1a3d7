/**
 * The settings of `data prepare`. The command line takes their names, limits and descriptions from
 * here.
 *
 * @module
 */
import { z } from "zod";
import type { SchemasOf } from "../../lib/schemas_of.ts";
import { DEFAULT_COLUMNS } from "../columns.ts";
import { PROBLEM_TYPES, type ProblemType } from "../labels.ts";
import { DELIMITER, ENCODING, NORMALIZE_LABELS, SKIP_LABELS } from "../table_settings.ts";

const ratio = z.number().gt(0).lt(1);
const flag = z.boolean().optional();

/** The settings of `data prepare`; their defaults depend on the recipe and the data. */
export interface PrepareSettings {
  /** `published`: every switch as the published notebook had it, but for those given here. */
  recipe?: "published" | undefined;
  /** The columns of the text, separated by commas; by default one with a usual name. */
  text?: string | undefined;
  /** The column of the label; by default one with a usual name. */
  label?: string | undefined;
  /** The kind of the labels; one class a text by default. */
  problemType?: ProblemType | undefined;
  /** The character between two fields, or `tab`; by default it is found. */
  delimiter?: string | undefined;
  /** The encoding; by default UTF-8, or that of a byte-order mark. */
  encoding?: string | undefined;
  /** Whether bad rows are left out; by default they are an error. */
  skipBadRows?: boolean | undefined;
  /** The labels of rows to leave out, separated by commas. */
  skipLabels?: string | undefined;
  /** Whether labels that differ only in case, spaces or Unicode form are one. */
  normalizeLabels?: boolean | undefined;
  /** The column whose values keep rows on one side; by default their text does. */
  group?: string | undefined;
  /** Whether English stop words are dropped. */
  stopwords?: boolean | undefined;
  /** Whether a space replaces each punctuation character. */
  stripPunctuation?: boolean | undefined;
  /** Whether texts are put in lower case. */
  lowercase?: boolean | undefined;
  /** Whether words without a letter from a to z are dropped. */
  latinWords?: boolean | undefined;
  /** The quantile of class sizes below which classes are pooled into `other`. */
  minClassQuantile?: number | undefined;
  /** The number of rows below which classes are pooled into `other`. */
  minClassCount?: number | undefined;
  /** The number of classes beyond which the smaller ones are pooled into `other`. */
  topClasses?: number | undefined;
  /** The names of labels: `youtube`, JSON, or a file of it. */
  labelNames?: string | undefined;
  /** How rows are split; `grouped`, the default, leaves no text on two sides. */
  split?: "grouped" | "stratified" | "random" | undefined;
  /** The share of the test rows, 0 for no test file; 0.25 by default. */
  testRatio?: number | undefined;
  /** The share of the validation rows; 0.1 by default. */
  valRatio?: number | undefined;
  /** Whether training rows are sampled down to the smallest class. */
  balance?: boolean | undefined;
  /** The seed of the split; 42 by default. */
  seed?: number | undefined;
}

const SHAPE = {
  recipe: z.enum(["published"]).optional()
    .describe("Every switch as the published notebook had it, but for those that are given"),
  text: z.string().optional()
    .describe(
      "The columns of the text, joined by a space: names separated by commas; default: the column " +
        "with a usual name, such as text, review or title",
    ),
  label: z.string().optional()
    .describe(
      "The column of the label; default: the one with a usual name, such as label or class",
    ),
  problemType: z.enum(PROBLEM_TYPES).optional().describe(
    "Kind of the labels: the name of a class, names joined by | (empty for none), or a number; " +
      "default: single_label_classification",
  ),
  delimiter: DELIMITER,
  encoding: ENCODING,
  skipBadRows: flag.describe("Leave bad rows out and count them, rather than refuse the file"),
  skipLabels: SKIP_LABELS,
  normalizeLabels: NORMALIZE_LABELS,
  group: z.string().optional()
    .describe(
      "The column whose equal values keep rows on one side; default: rows of one text stay together",
    ),
  stopwords: flag.describe("Drop English stop words"),
  stripPunctuation: flag.describe("Put a space for every punctuation character"),
  lowercase: flag.describe("Put texts in lower case"),
  latinWords: flag.describe("Keep only words with a letter from a to z"),
  minClassQuantile: z.number().min(0).max(1).optional()
    .describe("Pool the classes that are smaller than this quantile of class sizes into 'other'"),
  minClassCount: z.number().int().min(1).optional()
    .describe("Pool the classes of fewer rows into 'other'"),
  topClasses: z.number().int().min(1).optional()
    .describe("Keep this many of the largest classes and pool the rest into 'other'"),
  labelNames: z.string().optional()
    .describe('Names of labels: \'youtube\', or JSON such as {"10": "Music"}, or a file of it'),
  split: z.enum(["grouped", "stratified", "random"]).optional()
    .describe("grouped = no text on two sides; stratified and random = by row; default: grouped"),
  testRatio: z.number().min(0).lt(1).optional()
    .describe("Share of the test rows, 0 for no test file; default: 0.25"),
  valRatio: ratio.optional().describe("Share of the validation rows; default: 0.1"),
  balance: flag.describe("Sample the training rows down to the smallest class"),
  seed: z.number().int().min(0).max(2 ** 32 - 1).optional()
    .describe("Determines the split; default: 42"),
} satisfies SchemasOf<PrepareSettings>;

/** The schema of {@link PrepareSettings}. */
export const PREPARE_SETTINGS = z.strictObject(SHAPE);

/** The settings that may stay without a value. */
type WithoutDefault =
  | "recipe"
  | "group"
  | "delimiter"
  | "encoding"
  | "skipLabels"
  | "minClassCount"
  | "topClasses"
  | "labelNames";

/** The settings with all defaults filled in. */
export type FullPrepareSettings =
  & { [Key in Exclude<keyof PrepareSettings, WithoutDefault>]-?: NonNullable<PrepareSettings[Key]> }
  & Pick<PrepareSettings, WithoutDefault>;

const DEFAULTS = {
  ...DEFAULT_COLUMNS,
  problemType: "single_label_classification",
  skipBadRows: false,
  normalizeLabels: false,
  stopwords: false,
  stripPunctuation: false,
  lowercase: false,
  latinWords: false,
  minClassQuantile: 0,
  split: "grouped",
  testRatio: 0.25,
  valRatio: 0.1,
  balance: false,
  seed: 42,
} as const;

/** The notebook's treatment of the export of YouTube's trending videos before the split. */
const YOUTUBE = {
  text: "title",
  label: "category_id",
  stopwords: true,
  stripPunctuation: true,
  lowercase: true,
  latinWords: true,
  minClassQuantile: 0.7,
  labelNames: "youtube",
} as const;

/** The notebook's split: a fifth held out, a fifth of that for validation. */
const PUBLISHED_SPLIT = {
  split: "random",
  testRatio: 0.16,
  valRatio: 0.04,
  balance: true,
} as const;

/** The columns that identify that export. */
const YOUTUBE_COLUMNS = ["video_id", "title", "category_id"];

/**
 * Fills in the defaults. If neither text nor label column is named, a file with the columns of the
 * export of YouTube's trending videos is treated as in the notebook.
 *
 * @param header The columns of the file.
 */
export function withPrepareDefaults(
  settings: PrepareSettings,
  header: readonly string[],
): FullPrepareSettings {
  const isPublished = settings.recipe === "published";
  const isYoutube = settings.text === undefined && settings.label === undefined &&
    YOUTUBE_COLUMNS.every((column) => header.includes(column));
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  return {
    ...DEFAULTS,
    ...(isPublished || isYoutube ? YOUTUBE : {}),
    ...(isPublished ? PUBLISHED_SPLIT : {}),
    ...Object.fromEntries(given),
  };
}
