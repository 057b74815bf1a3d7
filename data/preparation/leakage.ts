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
  /** Rows whose text occurs in the training file, word for word. */
  seen: number;
  /** Rows among these whose text has the same label there. */
  same_label: number;
}

/**
 * Compares a held-out file with the training file.
 *
 * @param labelsOf The labels of each training text.
 */
export function leakageOf(labelsOf: LabelsByText, heldOut: readonly Example[]): Leakage {
  const seen = labelsOf.size === 0 ? [] : heldOut.filter(({ text }) => labelsOf.has(text));
  return {
    rows: heldOut.length,
    seen: seen.length,
    same_label: seen.filter(({ text, label }) => labelsOf.get(text)!.has(label)).length,
  };
}

/** The labels of each distinct text. */
export type LabelsByText = ReadonlyMap<string, ReadonlySet<string>>;

/** The labels of each distinct text, in order of appearance. */
export function labelsByText(rows: Iterable<Example>): LabelsByText {
  const labelsOf = new Map<string, ReadonlySet<string>>();
  // Texts with one label share a set, as most have one.
  const alone = new Map<string, ReadonlySet<string>>();
  for (const { text, label } of rows) {
    const labels = labelsOf.get(text);
    if (labels?.has(label)) continue;
    const own = alone.getOrInsertComputed(label, () => new Set([label]));
    labelsOf.set(text, labels === undefined ? own : labels.union(own));
  }
  return labelsOf;
}

/**
 * The leakage of a data set in a sentence.
 *
 * @param labelsOf The labels of the training texts, where they are known.
 */
export function leakageLine(
  { train, validation, test, isSplitByText = false }: Pick<
    Dataset,
    "train" | "validation" | "test" | "isSplitByText"
  >,
  labelsOf: LabelsByText = isSplitByText
    ? new Map()
    : labelsByText(rowsThatMayBe(train, validation, test)),
): string {
  const parts = Object.entries({ test, validation })
    .filter(([, heldOut]) => heldOut.length > 0)
    .map(([name, heldOut]) => ({ name, ...leakageOf(labelsOf, heldOut) }));
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
