/**
 * Which columns of a data file hold the texts and the labels.
 *
 * @module
 */
import { UserError } from "../lib/user_error.ts";

/** The names of the columns. */
export interface Columns {
  text: string;
  label: string;
}

/** The names where nothing else is said. */
export const DEFAULT_COLUMNS: Columns = { text: "text", label: "label" };

/**
 * Reads a column mapping, such as `text=title,label=category`; what it leaves out keeps its name.
 *
 * @throws {UserError} If it is not one.
 */
export function parseColumnMapping(mapping: string | undefined): Columns {
  const columns = { ...DEFAULT_COLUMNS };
  for (const part of mapping?.split(",") ?? []) {
    const [, name, column] = /^\s*(text|label)\s*=\s*(.*\S)\s*$/.exec(part) ?? [];
    if (name === undefined || column === undefined) {
      throw new UserError(
        `Cannot use --column-mapping ${mapping}: expected text=COLUMN,label=COLUMN`,
      );
    }
    columns[name as keyof Columns] = column;
  }
  return columns;
}
