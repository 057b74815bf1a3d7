/**
 * The meaning of a row's label, by the kind of problem: the name of one class, the names of several
 * joined by `|`, or a number.
 *
 * @module
 */

/** The kind of a problem, under transformers' name: one class a text, several, or a number. */
export type ProblemType =
  | "single_label_classification"
  | "multi_label_classification"
  | "regression";

/** All kinds of problems. */
export const PROBLEM_TYPES: readonly ProblemType[] = [
  "single_label_classification",
  "multi_label_classification",
  "regression",
];

/** The problem that a model solves: its kind, and the outputs for a text. */
export interface Problem {
  problemType: ProblemType;
  /** The names of the model's outputs in their order: the classes, or {@link REGRESSION_LABELS}. */
  labels: readonly string[];
  /** The score at which each class is predicted, where a text may have several. */
  thresholds?: readonly number[] | undefined;
}

/** The one output of a regression, under transformers' name. */
export const REGRESSION_LABELS: readonly string[] = ["LABEL_0"];

/** The separator between the classes of a label. */
const SEPARATOR = "|";

/** The rule that a label breaks, with its value; `undefined` for a sound one. */
export function labelFault(label: string, problemType: ProblemType): string | undefined {
  if (problemType === "multi_label_classification") {
    const names = classNames(label, problemType);
    if (names.includes("")) return `the label '${label}' has an empty part`;
    const repeated = names.find((name, i) => names.indexOf(name) < i);
    return repeated === undefined ? undefined : `the label '${label}' names '${repeated}' twice`;
  }
  if (label === "") return "the label is empty";
  if (problemType === "regression" && !Number.isFinite(Math.fround(Number(label)))) {
    const point = /^[+-]?\d+,\d+$/.test(label)
      ? ` with a point, as ${label.replace(",", ".")}`
      : "";
    return `expected a number as the label${point}, got '${label}'`;
  }
  return undefined;
}

/** The classes that a label names: none or more where it may name several, none for a number. */
export function classNames(label: string, problemType: ProblemType): string[] {
  switch (problemType) {
    case "single_label_classification":
      return [label];
    case "multi_label_classification":
      return label === "" ? [] : label.split(SEPARATOR).map((name) => name.trim());
    case "regression":
      return [];
  }
}

/** The label that names these classes. */
export function joinClassNames(names: readonly string[]): string {
  return names.join(SEPARATOR);
}

/** The same text for labels that mean the same, such as `b|a` and `a | b`, or `1` and `1.0`. */
export function canonicalLabel(label: string, problemType: ProblemType): string {
  if (problemType === "regression") return String(Number(label));
  return joinClassNames(classNames(label, problemType).sort());
}

/** A label as a loss takes it, `[labels]`: 1 for each class that it names and 0 for the others, or the number. */
export function labelRow(label: string, { problemType, labels }: Problem): number[] {
  if (problemType === "regression") return [Number(label)];
  const names = classNames(label, problemType);
  return labels.map((name) => Number(names.includes(name)));
}
