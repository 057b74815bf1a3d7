/**
 * Classifies the rows of a table.
 *
 * @module
 */
import { stringify } from "csv-stringify/sync";
import { BadRows } from "../data/bad_rows.ts";
import { DEFAULT_COLUMNS, findColumn } from "../data/columns.ts";
import { openTable, type TableFormat } from "../data/table.ts";
import { readError } from "../data/text_blocks.ts";
import type { TextClassifier } from "../models/inference/text_classifier.ts";
import { addLoss, type TextLoss, unknownShare } from "../models/text/tokenizer.ts";
import { answer } from "./evaluate_file.ts";

/** The progress of {@link predictTable}. */
export interface TableProgress {
  /** The rows classified so far. */
  rows: number;
  /** All rows of the table. */
  total: number;
  /** The share of the tokens so far that the model does not know. */
  unknownShare: number;
  /** The loss of tokens on the way into the model, in the texts so far. */
  loss: TextLoss;
}

/** Options of {@link predictTable}. */
export interface PredictTableOptions extends TableFormat {
  /** The column of the texts; by default `text`, or the one that is plainly meant. */
  text?: string | undefined;
  /** The threshold of a text's highest score, below which nothing is predicted. */
  abstain?: number | undefined;
  /** Called with notes for the user on how the file was read. */
  onNote?: (note: string) => void;
  /** Called as rows are classified. */
  onProgress?: (progress: TableProgress) => void;
  signal?: AbortSignal | undefined;
}

/** The columns that are added. */
const ADDED = ["predicted", "score"] as const;
/** The most rows in memory at a time. */
const CHUNK_ROWS = 512;

/**
 * Gives a table as CSV, in pieces, with two more columns: `predicted`, as a label is written, and
 * `score`, the probability of all that would be predicted, which is empty for a number. The whole
 * file is read before the first row is classified, so that a bad row costs no time.
 *
 * @throws {UserError} If the file cannot be read, lacks the column, or has bad rows or rows without a
 * text; the message names their lines.
 * @throws The signal's reason, if it aborts.
 */
export async function* predictTable(
  classifier: Pick<TextClassifier, "problemType" | "labels" | "scores" | "countTokens" | "lossOf">,
  file: string,
  { text, abstain = 0, onProgress = () => {}, signal, ...options }: PredictTableOptions = {},
): AsyncGenerator<Uint8Array> {
  const { total, columns, textColumn } = await check(file, text, options);
  // The first reading has given the notes.
  await using table = await openTable(file, { ...options, wanted: [textColumn], onNote: () => {} });
  const encoder = new TextEncoder();
  let rows = 0;
  const counts = { tokens: 0, unknown: 0 };
  const loss: TextLoss = { texts: 0, long: 0, tokens: 0, lost: 0 };
  const progress = () =>
    onProgress({ rows, total, unknownShare: unknownShare(counts), loss: { ...loss } });
  let chunk: Record<string, string>[] = [];
  const classified = async () => {
    const texts = chunk.map((values) => values[textColumn]!);
    const scores = await classifier.scores(texts, { signal });
    const { tokens, unknown } = classifier.countTokens(texts);
    counts.tokens += tokens;
    counts.unknown += unknown;
    addLoss(loss, classifier.lossOf(texts));
    const records = chunk.map((values, i) => {
      const { predicted, score } = answer(scores[i]!, classifier);
      const told = Math.max(...scores[i]!) < abstain ? "" : predicted;
      return [...columns.map((column) => values[column]), told, score];
    });
    rows += chunk.length;
    chunk = [];
    progress();
    return encoder.encode(stringify(records));
  };
  yield encoder.encode(stringify([[...columns, ...ADDED]]));
  progress();
  for await (const { values } of table.rows(columns, { carried: others(columns, textColumn) })) {
    signal?.throwIfAborted();
    chunk.push(values);
    if (chunk.length === CHUNK_ROWS) yield await classified();
  }
  if (chunk.length > 0) yield await classified();
}

/** Reads a whole table and counts its rows. */
async function check(
  file: string,
  text: string | undefined,
  options: PredictTableOptions,
): Promise<{ total: number; columns: readonly string[]; textColumn: string }> {
  const { onNote = () => {} } = options;
  const wanted = text ?? DEFAULT_COLUMNS.text;
  await using table = await openTable(file, { ...options, wanted: [wanted] });
  const textColumn = findColumn(file, table.columns, "text", wanted);
  if (text === undefined && textColumn !== DEFAULT_COLUMNS.text) {
    onNote(`Texts are in the column '${textColumn}'`);
  }
  const isAlone = (name: string) => table.columns.indexOf(name) === table.columns.lastIndexOf(name);
  const columns = table.columns.filter(isAlone);
  const repeated = new Set(table.columns.filter((name) => !isAlone(name)));
  if (repeated.size > 0) {
    const names = [...repeated].map((name) => `'${name}'`).join(", ");
    onNote(`Columns that share a name are left out: ${names}`);
  }
  const taken = ADDED.find((name) => columns.includes(name));
  if (taken !== undefined) {
    throw readError(file, `it has a column '${taken}', which is to be added; rename that one`);
  }
  const badRows = new BadRows(file);
  let total = 0;
  const carried = others(columns, textColumn);
  for await (const { values, line } of table.rows(columns, { badRows, carried })) {
    if (values[textColumn]!.trim() === "") badRows.add(line, "the text is empty");
    total++;
  }
  badRows.check("");
  return { total, columns, textColumn };
}

/** The columns that go into the result as they are. */
function others(columns: readonly string[], textColumn: string): string[] {
  return columns.filter((name) => name !== textColumn);
}
