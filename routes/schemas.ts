/**
 * Schemas that the answers of several routes share.
 *
 * @module
 */
import { z } from "zod";
import { PROBLEM_TYPES } from "../data/labels.ts";
import { type Metric, METRIC_NAMES } from "../training/metrics.ts";

/** The names of runs, which become those of models, and of data sets: folders on any system. */
export const Name = z.string().regex(
  /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?$/,
  "must be 1 to 64 of A-Z a-z 0-9 . _ -, the first a letter or digit, the last no dot",
).refine(
  (name) => !/^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i.test(name),
  "must not be a name that Windows keeps for devices, as CON or NUL.txt",
);

/** The metrics of a kind of problem, by name. */
export const Figures = z.object({
  problem_type: z.enum(PROBLEM_TYPES),
  ...Object.fromEntries(
    Object.keys(METRIC_NAMES).map((metric) => [metric, z.number().optional()]),
  ) as Record<
    Metric,
    z.ZodOptional<z.ZodNumber>
  >,
});
