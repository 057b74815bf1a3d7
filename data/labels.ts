/**
 * What the label of a row means, by the kind of problem.
 *
 * @module
 */

/** The kinds of problems, under transformers' names. */
export const PROBLEM_TYPES = [
  "single_label_classification",
  "multi_label_classification",
  "regression",
] as const;

/** One of {@link PROBLEM_TYPES}. */
export type ProblemType = (typeof PROBLEM_TYPES)[number];
