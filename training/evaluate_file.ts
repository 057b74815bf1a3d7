/**
 * Evaluates a trained classifier on a file of labelled texts.
 *
 * @module
 */
import { readExamples } from "../data/csv.ts";
import { UserError } from "../data/user_error.ts";
import { argMax } from "../models/inference.ts";
import type { TextClassifier } from "../models/text_classifier.ts";
import { evaluate, type EvaluationReport } from "./evaluation.ts";

/** One row of `predict.csv`. */
export interface PredictionRow {
  text: string;
  label: string;
  predicted: string;
  /** The probability of the predicted class. */
  score: number;
}

/** What {@link evaluateFile} finds. */
export interface FileEvaluation {
  report: EvaluationReport & { samples_per_second: number };
  rows: PredictionRow[];
}

/**
 * Predicts every text of a CSV file and compares with its labels.
 *
 * @param seenTexts The texts that the model was trained on, where they are known.
 * @throws {UserError} If the file cannot be read or has a label that the model does not know.
 */
export async function evaluateFile(
  classifier: TextClassifier,
  file: string,
  seenTexts: ReadonlySet<string> | undefined,
): Promise<FileEvaluation> {
  const examples = await readExamples(file);
  const labels = examples.map(({ label }) => {
    const index = classifier.labels.indexOf(label);
    if (index >= 0) return index;
    const known = classifier.labels.map((name) => `'${name}'`).join(", ");
    throw new UserError(`Cannot evaluate '${file}': label '${label}' is not one of ${known}`);
  });

  const started = performance.now();
  const scores = await classifier.scores(examples.map(({ text }) => text));
  const seconds = (performance.now() - started) / 1000;

  const predicted = scores.map(argMax);
  const report = evaluate(
    examples.map(({ text }, i) => ({ text, label: labels[i]!, predicted: predicted[i]! })),
    classifier.labels,
    seenTexts,
  );
  return {
    report: { ...report, samples_per_second: examples.length / seconds },
    rows: examples.map(({ text, label }, i) => ({
      text,
      label,
      predicted: classifier.labels[predicted[i]!]!,
      score: scores[i]![predicted[i]!]!,
    })),
  };
}
