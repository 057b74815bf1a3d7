/**
 * Signs that a model has learned little, in words.
 *
 * @module
 */
import { decimals } from "./metrics.ts";
import type { EvaluationReport } from "./evaluation.ts";
import type { TrainResult } from "./events.ts";

/** The probability below which a difference is not put down to chance. */
const SIGNIFICANT = 0.05;

/**
 * Lists the plain faults of a model, a sentence each; none where nothing is wrong.
 *
 * @param linear The accuracy of a linear model on the same texts, where it is known, and the
 * probability that chance makes two equal models differ as much.
 */
export function shortcomings(
  report: EvaluationReport,
  linear: Pick<NonNullable<TrainResult["linear_baseline"]>, "accuracy" | "p_value"> | null = null,
): string[] {
  const found: string[] = [];
  switch (report.problem_type) {
    case "single_label_classification": {
      const { per_class: classes, confusion_matrix: matrix, accuracy, majority } = report;
      const isGiven = new Array<boolean>(classes.length).fill(false);
      for (const row of matrix) {
        for (let index = 0; index < row.length; index++) isGiven[index] ||= row[index]! > 0;
      }
      const given = classes.filter((_, index) => isGiven[index]);
      const present = classes.filter(({ support }) => support > 0);
      if (present.length > 1 && given.length === 1) {
        found.push(`It gives every text the class '${given[0]!.label}', whatever the text says.`);
      } else if (present.length > 1 && accuracy <= majority) {
        found.push("It is no better than giving every text the commonest class.");
      }
      if (linear !== null && accuracy < linear.accuracy) {
        const by = linear.p_value < SIGNIFICANT
          ? ""
          : `, though by no more than chance may (p ${decimals(linear.p_value)})`;
        found.push(
          `It stays below a linear model on TF-IDF, which learns the same texts in seconds${by}.`,
        );
      }
      break;
    }
    case "multi_label_classification": {
      const { per_class: classes, n } = report;
      const present = classes.filter(({ support }) => support > 0);
      const isConstant = ({ support, recall, precision }: (typeof classes)[number]) =>
        // A class is given to no text, or to all of them.
        recall === 0 && precision === 0 || recall === 1 && Math.abs(precision - support / n) < 1e-9;
      if (present.length === 0 || !classes.every(isConstant)) break;
      const given = classes.filter(({ recall }) => recall === 1);
      const names = given.map(({ label }) => `'${label}'`).join(", ");
      if (given.length === 0) found.push("It finds no class in any text.");
      else if (given.some(({ support }) => support < n)) {
        found.push(`It gives every text the same classes, whatever the text says: ${names}.`);
      }
      break;
    }
    case "regression":
      // R² is 0 where all numbers are the same.
      if (report.r2 < 0) {
        found.push("It is no better than giving every text the mean of the numbers.");
      }
  }
  return found;
}
