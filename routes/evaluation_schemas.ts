/**
 * The schemas of requests for evaluations, and of the answers.
 *
 * @module
 */
import { z } from "zod";
import { RUN_STATES } from "../orchestration/run_store.ts";
import { MEASURED_SPLITS } from "../training/evaluation.ts";
import { Figures } from "./schemas.ts";

/** A request for an evaluation. */
export const EvaluationRequest = z.strictObject({
  model: z.string().optional(),
  dataset: z.string(),
}).meta({ id: "EvaluationRequest" });

const MAX_ROWS = 1000;

/** An evaluation with its main figures. */
export const EvaluationAnswer = z.object({
  id: z.string(),
  state: z.enum(RUN_STATES),
  model: z.string().describe("As name@version"),
  dataset: z.string(),
  split: z.enum(MEASURED_SPLITS).describe("The file on which it is measured"),
  created_at: z.string(),
  finished_at: z.string().optional(),
  error: z.string().optional(),
  ...Figures.partial().shape,
  n: z.int().optional(),
  samples_per_second: z.number().optional(),
}).meta({ id: "Evaluation" });

const Part = Figures.partial().extend({ n: z.int(), majority: z.number().optional() })
  .meta({ id: "EvaluationPart" });

/** All figures of an evaluation. */
export const Report = Figures.extend({
  n: z.int(),
  // The texts that were in training, and those that were not; null if that is not known.
  seen: Part.nullable(),
  unseen: Part.nullable(),
  interval: z.record(z.string(), z.array(z.number()).length(2)).describe("95 % intervals"),
  majority: z.number().optional(),
  threshold: z.number().optional()
    .describe("The score at which a class is predicted, where a text may have several"),
  thresholds: z.array(z.number()).nullable().optional()
    .describe("The threshold of each class in the order of per_class, where they differ"),
  per_class: z.array(
    z.object({
      label: z.string(),
      precision: z.number(),
      recall: z.number(),
      f1: z.number(),
      support: z.int(),
    }).meta({ id: "ClassFigures" }),
  ).optional(),
  confusion_matrix: z.array(z.array(z.int())).optional()
    .describe("Rows are true classes, columns predicted ones, in the order of per_class"),
  samples_per_second: z.number(),
}).meta({ id: "EvaluationReport" });

const Calibration = z.object({
  expected_calibration_error: z.number(),
  bins: z.array(
    z.object({
      from: z.number(),
      to: z.number(),
      n: z.int(),
      mean_score: z.number(),
      accuracy: z.number(),
    }).meta({ id: "CalibrationBin" }),
  ),
}).meta({ id: "Calibration" });

const Residuals = z.object({
  points: z.array(z.array(z.number()).length(2))
    .describe("Some of the texts: the true number, and the predicted one"),
  ranges: z.array(
    z.object({
      from: z.number(),
      to: z.number().describe("It belongs to the next range; to this one only if it is the last"),
      n: z.int(),
      mean_error: z.number().describe("The mean amount by which predictions are too high"),
      mean_absolute_error: z.number(),
    }).meta({ id: "ResidualRange" }),
  ).describe("Ranges of the true number"),
}).meta({ id: "Residuals" });

/** An evaluation with all its figures. */
export const WholeEvaluation = EvaluationAnswer.extend({
  report: Report.optional(),
  calibration: Calibration.optional(),
  residuals: Residuals.optional(),
}).meta({ id: "EvaluationWithReport" });

/** A text of an evaluation. */
export const Row = z.object({
  index: z.int().describe("Its place in the file, counted from 0"),
  text: z.string(),
  label: z.string(),
  predicted: z.string(),
  score: z.number().nullable().describe("The probability of what was predicted"),
  seen: z.boolean().nullable().describe("Whether it was trained on; null if not known"),
  right: z.boolean(),
  error: z.number().nullable().describe(
    "The amount by which a predicted number is too high; null for classes",
  ),
}).meta({ id: "EvaluationRow" });

const bool = z.enum(["true", "false"]).transform((value) => value === "true").optional();

/** The choice of texts. */
export const RowQuery = z.object({
  label: z.string().optional().describe("Its label; where it may have several, one of them"),
  predicted: z.string().optional(),
  class: z.string().optional().describe(
    "Where a text may have several classes, one that it has or got: score and right are then " +
      "those of this class",
  ),
  min_label: z.coerce.number().optional().describe("The lowest number that the label is"),
  max_label: z.coerce.number().optional().describe("A number that the label is below"),
  right: bool,
  seen: bool,
  text: z.string().optional().describe("A part of the text, whatever its case"),
  order: z.enum(["file", "highest_score", "lowest_score", "largest_error", "smallest_error"])
    .default("file"),
});

/** The part of the texts that is answered. */
export const Page = {
  limit: z.coerce.number().int().min(1).max(MAX_ROWS).default(50),
  offset: z.coerce.number().int().min(0).default(0),
};

/** The choice of another evaluation to compare one with, and of the texts that are answered. */
export const ComparisonQuery = z.object({
  with: z.string().describe("Another evaluation on the same texts"),
  outcome: z.enum(["first_only", "second_only"]).default("second_only")
    .describe("Whose texts are listed: those that this one alone gets right, or the other"),
  ...Page,
});

/** A comparison of two evaluations. */
export const EvaluationComparison = z.object({
  both: z.int(),
  first_only: z.int(),
  second_only: z.int(),
  neither: z.int(),
  p: z.number().describe(
    "Of McNemar's exact test: how probable it is that two equal " +
      "models differ so much",
  ),
  rows: z.array(
    Row.extend({ other: z.string().describe("The other model's prediction") })
      .meta({ id: "ComparedRow" }),
  ),
}).meta({ id: "EvaluationComparison" });
