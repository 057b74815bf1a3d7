/**
 * Leakage: texts of a held-out file that are also in the training file, so that a model can answer
 * them from memory.
 *
 * @module
 */
import { count, percent } from "../../lib/format.ts";
import type { Dataset } from "../dataset.ts";
import { ExampleFile, type Examples, utf8Texts } from "../example_file.ts";
import type { Example } from "../examples.ts";

/** The part of a held-out file that was seen in training. */
export interface Leakage {
  rows: number;
  /** Rows whose text stands in the training file, word for word. */
  seen: number;
  /** Rows among these whose text has the same label there. */
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
  const labelsOf = labelsByText(rowsThatMayBe(train, validation, test));
  const parts = Object.entries({ test, validation })
    .filter(([, heldOut]) => heldOut.length > 0)
    .map(([name, heldOut]) => ({ name, ...seenIn(labelsOf, heldOut) }));
  if (parts.every(({ seen }) => seen === 0)) {
    return `No ${parts.map(({ name }) => name).join(" or ")} text was seen in training.`;
  }
  const counts = parts.map(({ name, rows, seen }) =>
    `${count(seen)} of ${count(rows)} ${name} texts (${percent(seen / rows)})`
  );
  return `Seen in training: ${counts.join(", ")}.`;
}

/**
 * The rows whose texts are among those of others, and a few whose texts are much like these. Memory may
 * not hold all of them, and most need not be decoded.
 */
export function* rowsThatMayBe(
  rows: Examples,
  ...others: readonly Examples[]
): Generator<Example> {
  if (!(rows instanceof ExampleFile)) return yield* rows;
  const sketches = new Set<number>();
  for (const examples of others) {
    for (const bytes of utf8Texts(examples)) sketches.add(sketchOf(bytes));
  }
  let index = 0;
  for (const bytes of rows.utf8Texts()) {
    if (sketches.has(sketchOf(bytes))) yield rows.at(index)!;
    index++;
  }
}

/** The number of bytes of a text that its sketch looks at. */
const SKETCHED = 16;

/** A number that equal texts share, and few others. */
function sketchOf(bytes: Uint8Array): number {
  let sketch = bytes.length;
  for (let i = 0; i < SKETCHED; i++) {
    const byte = bytes[Math.floor(i * bytes.length / SKETCHED)]!;
    sketch = Math.imul(sketch ^ byte, 0x01000193) ^ (sketch >>> 15);
  }
  return sketch;
}
