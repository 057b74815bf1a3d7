/**
 * The predictions of an evaluation, a line of JSON each in a file beside its report, so that a
 * reader can look at the texts behind a figure.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { classNames, type ProblemType } from "../data/labels.ts";
import { writeFileAtomically } from "../lib/files.ts";
import type { PredictionRow } from "../training/evaluate_file.ts";

/** A text with its gold label and what was predicted. */
export interface EvaluationRow extends Omit<PredictionRow, "score"> {
  /** Its place in the file, counted from 0. */
  index: number;
  /** Of what was predicted; `null` of a number. */
  score: number | null;
  /** Whether it was trained on; `null` where that is not known. */
  seen: boolean | null;
  right: boolean;
}

/** Which rows are wanted; what is left out does not matter. */
export interface RowFilter {
  label?: string | undefined;
  predicted?: string | undefined;
  right?: boolean | undefined;
  seen?: boolean | undefined;
  /** Stands in the text, whatever its case. */
  text?: string | undefined;
}

/** The files of so many evaluations are kept in memory for the next who asks. */
const KEPT_FILES = 2;
const LINES_AT_ONCE = 1000;

/** Writes the predictions of an evaluation. */
export async function writeRows(
  file: string,
  rows: readonly PredictionRow[],
  seenTexts: ReadonlySet<string> | undefined,
): Promise<void> {
  await writeFileAtomically(file, encoded(rows, seenTexts));
}

async function* encoded(
  rows: readonly PredictionRow[],
  seenTexts: ReadonlySet<string> | undefined,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let start = 0; start < rows.length; start += LINES_AT_ONCE) {
    const lines = rows.slice(start, start + LINES_AT_ONCE).map(
      ({ text, label, predicted, score = null }) =>
        JSON.stringify([text, label, predicted, score, seenTexts?.has(text) ?? null]) + "\n",
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
   * @returns Nothing where the file is not there: an older server has made the evaluation.
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
    const [text, label, predicted, score, seen] = JSON.parse(line);
    return {
      index,
      text,
      label,
      predicted,
      score,
      seen,
      right: isRight(label, predicted, problemType),
    };
  });
}

/** Whether a prediction names the same classes; of a number, whether it is the same. */
function isRight(label: string, predicted: string, problemType: ProblemType): boolean {
  if (problemType === "regression") return Number(label) === Number(predicted);
  const names = (text: string) => classNames(text, problemType).sort().join("\n");
  return names(label) === names(predicted);
}

/** The rows that a reader wants. */
export function matchingRows(
  rows: readonly EvaluationRow[],
  { text, ...wanted }: RowFilter,
): EvaluationRow[] {
  const part = text?.toLowerCase();
  const given = Object.entries(wanted).filter(([, value]) => value !== undefined);
  return rows.filter((row) =>
    given.every(([key, value]) => row[key as keyof typeof wanted] === value) &&
    (part === undefined || row.text.toLowerCase().includes(part))
  );
}
