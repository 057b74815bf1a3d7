/**
 * The schemas of requests for data sets, and of the answers.
 *
 * @module
 */
import { z } from "zod";
import { PROBLEM_TYPES } from "../data/labels.ts";
import { DELIMITER, ENCODING, NORMALIZE_LABELS, SKIP_LABELS } from "../data/table_settings.ts";
import { SIDES } from "../data/preparation/split.ts";

/** A data set in a list. */
export const DatasetEntry = z.object({
  name: z.string(),
  created_at: z.string().nullable(),
  problem_type: z.enum(PROBLEM_TYPES),
  labels: z.array(z.string()),
  rows: z.record(z.string(), z.int()),
  leakage: z.string(),
  notes: z.array(z.string()).describe(
    "How the files were read, and what looks wrong with the labels",
  ),
}).meta({ id: "Dataset" });

/** A page of data sets. */
export const DatasetList = z.object({
  datasets: z.array(DatasetEntry),
  next: z.string().nullable().describe("The 'after' of the next page; null at the end"),
}).meta({ id: "DatasetList" });

const Lengths = z.object({
  mean: z.number(),
  p50: z.number(),
  p90: z.number(),
  p95: z.number(),
  p99: z.number(),
  max: z.number(),
  histogram: z.object({ width: z.int(), counts: z.array(z.int()) }).meta({ id: "Histogram" }),
}).meta({ id: "Lengths" });

const FileAudit = z.object({
  file: z.string(),
  rows: z.int(),
  distinct_texts: z.int(),
  duplicate_rows: z.int(),
  near_duplicate_texts: z.int(),
  conflicting_texts: z.int(),
  non_text_rows: z.int(),
  classes: z.record(z.string(), z.int()),
  words: Lengths,
  word_pieces: Lengths,
  truncated_rows: z.int(),
}).meta({ id: "FileAudit" });

const BaselineFigures = z.object({
  n: z.int(),
  accuracy: z.number().nullable(),
  f1_macro: z.number().nullable(),
}).meta({ id: "BaselineFigures" });

const Audit = z.object({
  labels: z.array(z.string()),
  label_names: z.array(z.string()),
  max_length: z.int(),
  files: z.object({
    train: FileAudit.optional(),
    validation: FileAudit.optional(),
    test: FileAudit.optional(),
  }).meta({ id: "AuditedFiles" }),
  leakage: z.string(),
  overlaps: z.array(
    z.object({
      of: z.enum(SIDES),
      in: z.enum(SIDES),
      rows: z.int(),
      seen: z.int(),
      same_label: z.int(),
      near: z.int(),
    }).meta({ id: "Overlap" }),
  ),
  labels_not_in_training: z.array(z.string()),
  conflict_examples: z.array(
    z.object({ text: z.string(), labels: z.array(z.string()) }).meta({ id: "ConflictExample" }),
  ),
  baselines: z.object({
    measured_on: z.enum(SIDES),
    trained_on: z.int(),
    results: z.array(
      z.object({ name: z.string(), all: BaselineFigures, unseen: BaselineFigures }).meta({
        id: "Baseline",
      }),
    ),
    left_out: z.array(z.string()),
  }).meta({ id: "Baselines" }),
}).meta({ id: "AuditReport" });

/** A data set with its audit. */
export const WholeDataset = DatasetEntry.extend({ audit: Audit }).meta({ id: "DatasetWithAudit" });

/** The columns of a table. */
export const TableColumns = z.object({
  columns: z.array(z.string()),
  text: z.string().nullable().describe("The column of the texts, where it can be told"),
  label: z.string().nullable().describe("The column of the labels, where it can be told"),
  rows: z.array(z.array(z.string())).describe("The first rows, a field for each column"),
}).meta({ id: "TableColumns" });

const FLAG = z.enum(["true", "false"]).default("false").transform((flag) => flag === "true");

/** How the files of a data set are read. */
export const FileQuery = z.object({
  text: z.string().default("text")
    .describe("The column of the texts; by default also one with another usual name"),
  label: z.string().default("label")
    .describe("The column of the labels; by default also one with another usual name"),
  problem_type: z.enum(PROBLEM_TYPES).default("single_label_classification")
    .describe("The kind of the labels"),
  delimiter: DELIMITER,
  encoding: ENCODING,
  skip_bad_rows: FLAG.describe("Leave bad rows of the one file out and count them"),
  skip_labels: SKIP_LABELS,
  normalize_labels: FLAG.describe(NORMALIZE_LABELS.description!),
  seed: z.coerce.number().int().min(0).max(2 ** 32 - 1).default(11).describe(
    "The seed of the split",
  ),
});
