/**
 * Options for reading tables.
 *
 * @module
 */
import type { Command } from "commander";
import { z } from "zod";
import { type Columns, parseColumnMapping } from "../data/columns.ts";
import { DELIMITER, ENCODING } from "../data/table_settings.ts";
import type { TableFormat } from "../data/table.ts";
import { addSettingsOptions, parseSettings } from "./settings_options.ts";

/** The format of a table, as flags. */
const FormatSettings = z.object({ delimiter: DELIMITER, encoding: ENCODING });

/** Commander's values of the flags that name columns. */
export interface ColumnOptions {
  text?: string;
  label?: string;
  columnMapping?: string | undefined;
}

/** Adds the flags that name the columns of the texts and the labels. */
export function addColumnOptions(command: Command): void {
  command
    .option(
      "--text <column>",
      "The column of the texts; default: the one with a usual name, such as text, review or title",
    )
    .option(
      "--label <column>",
      "The column of the labels; default: the one with a usual name, such as label or class",
    );
}

/** Adds all flags for reading a table. */
export function addTableOptions(command: Command): void {
  addColumnOptions(command);
  command.option(
    "--column-mapping <text>",
    "Both columns in one option: text=title,label=category",
  );
  addSettingsOptions(command, FormatSettings);
}

/** The columns that the flags name; others are detected. */
export function columnsOf({ text, label, columnMapping }: ColumnOptions): Columns {
  const columns = parseColumnMapping(columnMapping);
  return { text: text ?? columns.text, label: label ?? columns.label };
}

/** The format of a table from the flags. */
export function formatOf(options: object): TableFormat {
  return parseSettings(FormatSettings, { ...options });
}
