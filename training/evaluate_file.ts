/**
 * Evaluates a trained classifier on a file of labelled texts.
 *
 * @module
 */
import type { Columns } from "../data/columns.ts";
import type { DatasetOptions } from "../data/dataset.ts";
import { readExamples } from "../data/examples.ts";
import { LabelNormaliser, wordForNoLabels } from "../data/label_spelling.ts";
import { classNames, joinClassNames, labelRow, type Problem } from "../data/labels.ts";
import { count } from "../lib/format.ts";
import { UserError } from "../lib/user_error.ts";
import { predictedClasses } from "../models/inference/inference.ts";
import type { TextClassifier } from "../models/inference/text_classifier.ts";
import { evaluate, type EvaluationReport } from "./evaluation.ts";
import type { SeenTexts } from "./folder/seen_texts.ts";

/** The most labels that an error names. */
const NAMED_LABELS = 10;

/** One row of `predict.csv`. */
export interface PredictionRow {
  text: string;
  label: string;
  /** The prediction as a label is written: a class, classes joined by `|`, or a number. */
  predicted: string;
  /** The probability of the predicted class, or of all predicted at once; none for a number. */
  score: number | undefined;
}

/** The result of {@link evaluateFile}. */
export interface FileEvaluation {
  report: EvaluationReport & { samples_per_second: number };
  rows: PredictionRow[];
  /** `[texts][labels]`: the score of each class, or the predicted number. */
  scores: (readonly number[])[];
}

/**
 * Predicts every text of a CSV file and compares the predictions with its labels.
 *
 * @param seenTexts The texts that the model was trained on, where they are known.
 * @throws {UserError} If the file cannot be read or has a label that the model cannot give.
 */
export async function evaluateFile(
  classifier: Pick<
    TextClassifier,
    "problemType" | "labels" | "thresholds" | "scoresBesideUncalibrated"
  >,
  file: string,
  seenTexts: SeenTexts | undefined,
  columns?: Columns,
  { normalizeLabels = false, ...options }: DatasetOptions = {},
): Promise<FileEvaluation> {
  const { problemType, labels } = classifier;
  if (problemType === "regression" && labels.length > 1) {
    const rule = `a label is one number, and the model gives ${labels.length}`;
    throw new UserError(`Cannot evaluate '${file}': ${rule}`);
  }
  const spelling = normalizeLabels
    ? new LabelNormaliser(new Map(labels.map((name) => [name, 1])), problemType)
    : undefined;
  const examples = await readExamples(file, problemType, columns, { ...options, spelling });
  const known = new Set(labels);
  const word = wordForNoLabels(examples.map(({ label }) => label));
  const isClass = problemType === "single_label_classification";
  if (isClass && word !== undefined && !known.has(word)) {
    throw new UserError(`Cannot evaluate '${file}': it has no labels, each is '${word}'`);
  }
  const unknown = examples
    .flatMap(({ label }) => classNames(label, problemType))
    .find((name) => !known.has(name));
  if (unknown !== undefined) {
    throw new UserError(
      `Cannot evaluate '${file}': label '${unknown}' is not one of the model's ${
        count(labels.length)
      }, ${named(labels)}`,
    );
  }

  const started = performance.now();
  const scored = await classifier.scoresBesideUncalibrated(examples.map(({ text }) => text));
  const seconds = (performance.now() - started) / 1000;

  const predictions = examples.map(({ text, label }, i) => ({
    text,
    labels: labelRow(label, classifier),
    ...scored[i]!,
  }));
  const report = evaluate(predictions, classifier, seenTexts);
  return {
    report: { ...report, samples_per_second: examples.length / seconds },
    rows: examples.map((example, i) => ({ ...example, ...answer(scored[i]!.scores, classifier) })),
    scores: scored.map(({ scores }) => scores),
  };
}

/** The first of some names, quoted. */
function named(names: readonly string[]): string {
  const first = names.slice(0, NAMED_LABELS).map((name) => `'${name}'`).join(", ");
  return names.length > NAMED_LABELS ? `${first}, …` : first;
}

/** The prediction by scores, as a label is written, and its probability. */
export function answer(
  scores: readonly number[],
  problem: Problem,
): Pick<PredictionRow, "predicted" | "score"> {
  const { problemType, labels } = problem;
  if (problemType === "regression") return { predicted: String(scores[0]), score: undefined };
  const classes = predictedClasses(scores, problem);
  return {
    predicted: joinClassNames(classes.map((index) => labels[index]!)),
    score: problemType === "single_label_classification"
      ? scores[classes[0]!]
      // The classes are independent: each that is predicted holds, and each of the others does not.
      : scores
        .map((score, index) => classes.includes(index) ? score : 1 - score)
        .reduce((product, probability) => product * probability),
  };
}
