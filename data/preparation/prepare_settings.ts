/**
 * The settings of `data prepare`. The command line takes their names, limits and descriptions from
 * here.
 *
 * @module
 */
import { z } from "zod";

const ratio = z.number().gt(0).lt(1);
const flag = z.boolean().optional();

/** The schema of {@link PrepareSettings}; what is left out depends on the recipe and the data. */
export const PrepareSettings = z.strictObject({
  recipe: z.enum(["published"]).optional()
    .describe("Every switch as the published notebook had it; others given here come first"),
  text: z.string().optional()
    .describe("The columns of the text, joined by a space: names separated by commas"),
  label: z.string().optional().describe("The column of the label"),
  group: z.string().optional()
    .describe(
      "Rows with the same value here stay on one side, instead of rows of one text, which may then " +
        "stand on both",
    ),
  stopwords: flag.describe("Drop English stop words"),
  stripPunctuation: flag.describe("Put a space for every punctuation character"),
  lowercase: flag.describe("Put texts in lower case"),
  latinWords: flag.describe("Keep only words with a letter from a to z"),
  minClassQuantile: z.number().min(0).max(1).optional()
    .describe("Pool the classes that are smaller than this quantile of class sizes into 'other'"),
  labelNames: z.string().optional()
    .describe('Names of labels: \'youtube\', or JSON such as {"10": "Music"}, or a file of it'),
  split: z.enum(["grouped", "stratified", "random"]).optional()
    .describe("grouped = no text on two sides; stratified and random = by row; default: grouped"),
  testRatio: ratio.optional().describe("Share of the test rows; default: 0.25"),
  valRatio: ratio.optional().describe("Share of the validation rows; default: 0.1"),
  balance: flag.describe("Sample the training rows down to the smallest class"),
  seed: z.number().int().min(0).max(2 ** 32 - 1).optional()
    .describe("Determines the split; default: 42"),
});

/** What a caller may say. */
export type PrepareSettings = z.infer<typeof PrepareSettings>;

/** What may stay without a value. */
type WithoutDefault = "recipe" | "group" | "labelNames";

/** The settings with everything filled in. */
export type FullPrepareSettings =
  & { [Key in Exclude<keyof PrepareSettings, WithoutDefault>]-?: NonNullable<PrepareSettings[Key]> }
  & Pick<PrepareSettings, WithoutDefault>;

const DEFAULTS = {
  text: "title",
  label: "category_id",
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

/** What the notebook did to the export of YouTube's trending videos before it split it. */
const YOUTUBE = {
  stopwords: true,
  stripPunctuation: true,
  lowercase: true,
  latinWords: true,
  minClassQuantile: 0.7,
  labelNames: "youtube",
} as const;

/** How it split: a fifth for testing, of that a fifth for validation. */
const PUBLISHED_SPLIT = {
  split: "random",
  testRatio: 0.16,
  valRatio: 0.04,
  balance: true,
} as const;

/**
 * Fills in what was left out. Where neither text nor label column is named, the file is taken for
 * the export of YouTube's trending videos, and its texts are treated as the notebook treated them.
 */
export function withPrepareDefaults(settings: PrepareSettings): FullPrepareSettings {
  const isPublished = settings.recipe === "published";
  const isYoutube = settings.text === undefined && settings.label === undefined;
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  return {
    ...DEFAULTS,
    ...(isPublished || isYoutube ? YOUTUBE : {}),
    ...(isPublished ? PUBLISHED_SPLIT : {}),
    ...Object.fromEntries(given),
  };
}
