/**
 * Finds the columns of a data file that hold the texts and the labels.
 *
 * @module
 */
import { listOf } from "../lib/format.ts";
import { readError } from "./text_blocks.ts";
import { UserError } from "../lib/user_error.ts";

/** The names of the columns. */
export interface Columns {
  /** The column of the texts. */
  text: string;
  /** The column of the labels. */
  label: string;
}

/** The default names of the columns. */
export const DEFAULT_COLUMNS: Columns = { text: "text", label: "label" };

/**
 * Reads a column mapping, such as `text=title,label=category`; a column left out keeps its name.
 *
 * @throws {UserError} If it is no such mapping.
 */
export function parseColumnMapping(mapping: string | undefined): Columns {
  const columns = { ...DEFAULT_COLUMNS };
  for (const part of mapping?.split(",") ?? []) {
    const [, name, column] = /^\s*(text|label)\s*=\s*(.*\S)\s*$/.exec(part) ?? [];
    if (name === undefined || column === undefined) {
      throw new UserError(
        `Cannot use the column mapping ${mapping}: expected text=COLUMN,label=COLUMN`,
      );
    }
    columns[name as keyof Columns] = column;
  }
  return columns;
}

/** The mapping that {@link parseColumnMapping} reads; `undefined` for the defaults. */
export function mappingOf({ text, label }: Columns): string | undefined {
  const isDefault = text === DEFAULT_COLUMNS.text && label === DEFAULT_COLUMNS.label;
  return isDefault ? undefined : `text=${text},label=${label}`;
}

/** Names that people and published data sets give to these columns, with `_` between words. */
const USUAL_NAMES: Record<keyof Columns, readonly string[]> = {
  text: [
    ...["text", "texts", "sentence", "review", "title", "content", "body", "message", "comment"],
    ...["tweet", "headline", "description", "utterance", "question", "query", "document"],
    ...["review_text", "comment_text", "text_content", "sentence1", "summary", "subject"],
  ],
  label: [
    ...["label", "labels", "class", "category", "target", "sentiment", "topic", "intent", "genre"],
    ...[
      "class_label",
      "label_text",
      "category_id",
      "categories",
      "tag",
      "tags",
      "emotion",
      "rating",
      "stars",
    ],
  ],
};

/**
 * Finds the columns in the header of a table. A column that was not named and does not have its
 * default name is guessed, if just one of its usual names stands there.
 *
 * @throws {UserError} If a column is not there and cannot be guessed.
 */
export function findColumns(
  file: string,
  header: readonly string[],
  columns: Columns,
): Columns {
  const { text, label } = columns;
  const isUnknown = (kind: keyof Columns) =>
    columns[kind] === DEFAULT_COLUMNS[kind] && guessed(header, kind, columns[kind]) === undefined;
  if (isUnknown("text") && isUnknown("label")) {
    throw readError(
      file,
      `expected columns 'text' and 'label', found ${listed(header)}: name yours with --text and ` +
        `--label${otherWay(header)}`,
    );
  }
  return {
    text: findColumn(file, header, "text", text),
    label: findColumn(file, header, "label", label),
  };
}

/** Whether a column is there, or may be: one of its usual names stands in the header. */
export function hasColumn(
  header: readonly string[],
  kind: keyof Columns,
  columns: Columns,
): boolean {
  return header.includes(columns[kind]) || usualColumns(header, kind).length > 0;
}

/** The column of that name, or the only one that may be it. */
function guessed(
  header: readonly string[],
  kind: keyof Columns,
  wanted: string,
): string | undefined {
  if (header.includes(wanted)) return wanted;
  const usual = usualColumns(header, kind);
  const [guess] = usual.filter((name) => name.toLowerCase() === wanted).concat(usual);
  return usual.length === 1 || guess?.toLowerCase() === wanted ? guess : undefined;
}

function usualColumns(header: readonly string[], kind: keyof Columns): string[] {
  return header.filter((name) =>
    USUAL_NAMES[kind].includes(name.toLowerCase().replaceAll(/[\s-]+/g, "_"))
  );
}

/** Finds one column, as {@link findColumns} does. */
export function findColumn(
  file: string,
  header: readonly string[],
  kind: keyof Columns,
  wanted: string,
): string {
  const found = listed(header);
  if (wanted !== DEFAULT_COLUMNS[kind]) {
    if (header.includes(wanted)) return wanted;
    throw readError(file, `expected a column '${wanted}', found ${found}`);
  }
  const guess = guessed(header, kind, wanted);
  if (guess !== undefined) return guess;
  const usual = usualColumns(header, kind);
  throw readError(
    file,
    usual.length === 0
      ? `expected a column '${wanted}', found ${found}: name yours with --${kind}${
        otherWay(header)
      }`
      : `the ${kind} may be in ${
        usual.map((name) => `'${name}'`).join(" or ")
      }: choose with --${kind}`,
  );
}

const MAX_LISTED = 20;
const MAX_NAME_LENGTH = 50;

/** The first of the names, shortened: a file that is no table may have any as its columns. */
function listed(names: readonly string[]): string {
  const shortened = names.map((name) =>
    name.length <= MAX_NAME_LENGTH ? `'${name}'` : `'${name.slice(0, MAX_NAME_LENGTH)}…'`
  );
  return listOf(shortened, MAX_LISTED);
}

/** More advice where no column is found: for a table without a header, or with one column. */
function otherWay(header: readonly string[]): string {
  if (header.length === 1 && /[^\w\s-]/.test(header[0]!)) {
    return ", or what stands between the columns with --delimiter";
  }
  return header.some((name) => /\S(\s+\S+){3}/.test(name))
    ? ", or add a header line if this one is a row"
    : "";
}

/** A note on the columns that were taken, in a line, if their names are not the defaults. */
export function columnsNote({ text, label }: Columns): string | undefined {
  if (text === DEFAULT_COLUMNS.text && label === DEFAULT_COLUMNS.label) return undefined;
  return `Texts are in the column '${text}', labels in '${label}'`;
}
