/**
 * Leakage: texts of a held-out file that are also in the training file, so that a model can answer
 * them from memory.
 *
 * @module
 */
import type { Dataset } from "../dataset.ts";
import type { Example } from "../examples.ts";

/** How much of a held-out file was seen in training. */
export interface Leakage {
  rows: number;
  /** Rows whose text stands in the training file, word for word. */
  seen: number;
  /** Those of them whose text has the same label there. */
  same_label: number;
}

/** Compares a held-out file with the training file. */
export function leakageOf(train: readonly Example[], heldOut: readonly Example[]): Leakage {
  return seenIn(labelsByText(train), heldOut);
}

function seenIn(
  labelsOf: ReadonlyMap<string, ReadonlySet<string>>,
  heldOut: readonly Example[],
): Leakage {
  const seen = heldOut.filter(({ text }) => labelsOf.has(text));
  return {
    rows: heldOut.length,
    seen: seen.length,
    same_label: seen.filter(({ text, label }) => labelsOf.get(text)!.has(label)).length,
  };
}

/** The labels of each distinct text. */
export function labelsByText(rows: Iterable<Example>): Map<string, Set<string>> {
  const labelsOf = new Map<string, Set<string>>();
  for (const { text, label } of rows) {
    const labels = labelsOf.get(text);
    if (labels === undefined) labelsOf.set(text, new Set([label]));
    else labels.add(label);
  }
  return labelsOf;
}

/** The leakage of a data set in a sentence. */
export function leakageLine(
  { train, validation, test }: Pick<Dataset, "train" | "validation" | "test">,
): string {
  // Memory may not hold all texts of the training file, but those that are asked for.
  const wanted = new Set([...validation, ...test].map(({ text }) => text));
  const labelsOf = labelsByText(rowsWithTexts(train, wanted));
  const parts = Object.entries({ test, validation })
    .filter(([, heldOut]) => heldOut.length > 0)
    .map(([name, heldOut]) => ({ name, ...seenIn(labelsOf, heldOut) }));
  if (parts.every(({ seen }) => seen === 0)) {
    return `No ${parts.map(({ name }) => name).join(" or ")} text was seen in training.`;
  }
  const counts = parts.map(({ name, rows, seen }) =>
    `${count(seen)} of ${count(rows)} ${name} texts (${(100 * seen / rows).toFixed(1)} %)`
  );
  return `Seen in training: ${counts.join(", ")}.`;
}

/** Those of the rows whose texts are among some others. */
export function* rowsWithTexts(
  rows: Iterable<Example>,
  texts: ReadonlySet<string>,
): Generator<Example> {
  for (const row of rows) if (texts.has(row.text)) yield row;
}

function count(value: number): string {
  return value.toLocaleString("en");
}
