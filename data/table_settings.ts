/**
 * The settings by which tables are read, which training, preparation and the commands share.
 *
 * @module
 */
import { z } from "zod";

/** The setting of {@link TableFormat.delimiter}. */
export const DELIMITER = z.string().optional()
  .describe("The delimiter of a table: one character, or tab; default: it is found");

/** The setting of {@link TableFormat.encoding}. */
export const ENCODING = z.string().optional()
  .describe(
    "The encoding of tables, such as windows-1252; default: utf-8, or that of a byte-order mark",
  );

/** The labels of rows that are left out, as {@link SkippedLabels} takes them. */
export const SKIP_LABELS = z.string().optional().describe(
  "Leave out the rows with these labels, separated by commas, such as -1 or NaN for no label",
);

/** Whether labels go through {@link LabelNormaliser}. */
export const NORMALIZE_LABELS = z.boolean().optional().describe(
  "Merge labels that differ only in case, spaces, Unicode form or the format of a number, and words " +
    "for no label; split lists",
);
