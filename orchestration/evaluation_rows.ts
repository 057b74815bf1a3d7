/**
 * The predictions of an evaluation, a line of JSON each in a file beside its report, so that a
 * reader can look at the texts behind a figure.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { canonicalLabel, classNames, type Problem, type ProblemType } from "../data/labels.ts";
import { writeFileAtomically } from "../lib/files.ts";
import type { PredictionRow } from "../training/evaluate_file.ts";
import type { SeenTexts } from "../training/folder/seen_texts.ts";

/** A text with its gold label and its prediction. */
export interface EvaluationRow extends Omit<PredictionRow, "score"> {
  /** Its place in the file, counted from 0. */
  index: number;
  /** The score of the predicted class; `null` for numbers. */
  score: number | null;
  /** Whether the model was trained on the text; `null` if that is not known. */
  seen: boolean | null;
  /** Whether the prediction has the same classes, or the same number, as the label. */
  right: boolean;
  /** The predicted number minus the label; `null` for classes. */
  error: number | null;
  /** The score of each class, where a text may have several. */
  scores?: readonly number[];
}

/** The filter of rows; a field that is left out does not matter. */
export interface RowFilter {
  /** The label; where a text may have several, one of them. */
  label?: string | undefined;
  predicted?: string | undefined;
  /**
   * A class that the text has or was given, where a text may have several: `score` and `right` are
   * then those of this class.
   */
  class?: string | undefined;
  /** The smallest label, a number. */
  min_label?: number | undefined;
  /** The number that the label is below. */
  max_label?: number | undefined;
  right?: boolean | undefined;
  seen?: boolean | undefined;
  /** A string that the text contains, in any case. */
  text?: string | undefined;
}

/** The number of evaluations whose files are kept in memory. */
const KEPT_FILES = 2;
const LINES_AT_ONCE = 1000;

/**
 * Writes the predictions of an evaluation.
 *
 * @param scores `[texts][labels]`, where a text may have several classes.
 */
export async function writeRows(
  file: string,
  rows: readonly PredictionRow[],
  seenTexts: SeenTexts | undefined,
  scores?: readonly (readonly number[])[],
): Promise<void> {
  await writeFileAtomically(file, encoded(rows, seenTexts, scores));
}

async function* encoded(
  rows: readonly PredictionRow[],
  seenTexts: SeenTexts | undefined,
  scores?: readonly (readonly number[])[],
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let start = 0; start < rows.length; start += LINES_AT_ONCE) {
    const lines = rows.slice(start, start + LINES_AT_ONCE).map(
      ({ text, label, predicted, score = null }, i) => {
        const row = [text, label, predicted, score, seenTexts?.has(text) ?? null];
        const ofClasses = scores?.[start + i]?.map((score) => Number(score.toFixed(4)));
        return JSON.stringify(ofClasses === undefined ? row : [...row, ofClasses]) + "\n";
      },
    );
    yield Buffer.from(lines.join(""));
  }
}

/** Reads the files of predictions. */
export class EvaluationRows {
  readonly #kept = new Map<string, EvaluationRow[]>();

  /**
   * All predictions of a file, in its order.
   *
   * @returns `undefined` if there is no such file: the evaluation was made by an older server.
   */
  async read(file: string, problemType: ProblemType): Promise<EvaluationRow[] | undefined> {
    const rows = this.#kept.get(file) ?? await readRows(file, problemType);
    if (rows === undefined) return undefined;
    this.#kept.delete(file);
    this.#kept.set(file, rows);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT_FILES) this.#kept.delete(oldest!);
    return rows;
  }
}

async function readRows(
  file: string,
  problemType: ProblemType,
): Promise<EvaluationRow[] | undefined> {
  let content;
  try {
    content = await Deno.readTextFile(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  return content.trimEnd().split("\n").map((line, index) => {
    const [text, label, predicted, score, seen, scores] = JSON.parse(line);
    return {
      index,
      text,
      label,
      predicted,
      score,
      seen,
      right: canonicalLabel(label, problemType) === canonicalLabel(predicted, problemType),
      error: problemType === "regression" ? Number(predicted) - Number(label) : null,
      ...scores !== undefined && { scores },
    };
  });
}

/** The rows that match a filter. */
export function matchingRows(
  rows: readonly EvaluationRow[],
  filter: RowFilter,
  { problemType, labels }: Problem,
): EvaluationRow[] {
  const part = filter.text?.toLowerCase();
  const names = (label: string) =>
    problemType === "regression" ? [label] : classNames(label, problemType);
  const place = filter.class === undefined ? -1 : labels.indexOf(filter.class);
  const { label, predicted, min_label = -Infinity, max_label = Infinity } = filter;
  return rows.flatMap((row) => {
    const isLike = (label === undefined || names(row.label).includes(label)) &&
      (predicted === undefined || names(row.predicted).includes(predicted)) &&
      (row.error === null || Number(row.label) >= min_label && Number(row.label) < max_label) &&
      (filter.seen === undefined || row.seen === filter.seen) &&
      (part === undefined || row.text.toLowerCase().includes(part));
    if (!isLike) return [];
    const found = filter.class === undefined ? row : ofClass(row, filter.class, place, names);
    if (found === undefined || (filter.right ?? found.right) !== found.right) return [];
    return found;
  });
}

/** A row as one of its classes sees it; `undefined` if the class is neither true nor predicted. */
function ofClass(
  row: EvaluationRow,
  name: string,
  place: number,
  names: (label: string) => string[],
): EvaluationRow | undefined {
  const isTrue = names(row.label).includes(name);
  const isPredicted = names(row.predicted).includes(name);
  if (!isTrue && !isPredicted) return undefined;
  return { ...row, score: row.scores?.[place] ?? row.score, right: isTrue === isPredicted };
}
