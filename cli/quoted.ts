/**
 * Commands to copy.
 *
 * @module
 */
import type { ProblemType } from "../data/labels.ts";

/** A path quoted for a shell. */
export function quoted(path: string): string {
  return /^[\w./:@%+=~-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

/** The flag that names the kind of a problem, after a space; nothing for the default. */
export function problemFlag(
  problemType: ProblemType = "single_label_classification",
): string {
  return problemType === "single_label_classification" ? "" : ` --problem-type ${problemType}`;
}
