/**
 * The classes of a data set: those that raw labels name, with the small ones pooled into one.
 *
 * @module
 */
import { z } from "zod";
import { readJson } from "../../lib/files.ts";
import { UserError } from "../../lib/user_error.ts";
import { inClassOrder } from "../dataset.ts";
import { LabelNormaliser, labelNotes } from "../label_spelling.ts";
import { classNames, joinClassNames } from "../labels.ts";
import type { FullPrepareSettings } from "./prepare_settings.ts";
import type { Survey } from "./survey.ts";
import { YOUTUBE_CATEGORIES } from "./youtube_categories.ts";

/** The class of pooled labels. */
const OTHER = "other";

/** A class and where it comes from. */
export interface PreparedClass {
  /** The label in the files. */
  label: string;
  /** The class's name; the label itself, but with the published recipe. */
  name: string;
  /** The labels of the raw file that became it, the commonest first. */
  raw: string[];
  /** The rows of the raw file that have it. */
  rows: number;
}

/** The classes, and the raw labels' places in them. */
export interface Classes {
  list: PreparedClass[];
  /** The written label of each raw one, by index into {@link Survey.labels}. */
  labelOfRaw: string[];
  /** The classes of each raw label, by index into {@link Survey.labels}, as indices into `list`. */
  classesOfRaw: number[][];
}

/**
 * Makes classes, in order of size, of the names whose rows reach the quantile of all names' rows,
 * and the other limits; pools the rest.
 *
 * The files hold the names, or numbers with the published recipe.
 */
export function poolClasses(
  survey: Survey,
  settings: FullPrepareSettings,
  names: Readonly<Record<string, string>>,
  onNote: (note: string) => void,
): Classes {
  const { problemType, minClassCount = 0, topClasses = Infinity } = settings;
  const rowsOfRaw = new Array<number>(survey.labels.length).fill(0);
  for (const raw of survey.rawLabels) rowsOfRaw[raw]!++;
  const counts = new Map(survey.labels.map((label, raw) => [label, rowsOfRaw[raw]!]));
  const normaliser = settings.normalizeLabels
    ? new LabelNormaliser(counts, problemType)
    : undefined;
  const written = survey.labels.map((label) => normaliser?.apply(label) ?? label);
  const rowsOfWritten = new Map<string, number>();
  for (const [raw, label] of written.entries()) {
    rowsOfWritten.set(label, (rowsOfWritten.get(label) ?? 0) + rowsOfRaw[raw]!);
  }
  labelNotes(rowsOfWritten, problemType).forEach(onNote);

  /** The names in the table, with their rows and the raw labels that name them. */
  const found = new Map<string, { rows: number; raw: number[] }>();
  for (const [raw, label] of written.entries()) {
    for (const name of classNames(label, problemType)) {
      const entry = found.getOrInsertComputed(name, () => ({ rows: 0, raw: [] }));
      entry.rows += rowsOfRaw[raw]!;
      entry.raw.push(raw);
    }
  }
  const bySize = [...found].sort(([, a], [, b]) => b.rows - a.rows);
  const threshold = Math.max(
    minClassCount,
    found.size === 0 ? 0 : quantile(bySize.map(([, { rows }]) => rows), settings.minClassQuantile),
  );

  const list: PreparedClass[] = [];
  const indexOfName = new Map<string, number>();
  const indexOfLabel = new Map<string, number>();
  let nextNumber = 0;
  for (const [rawName, { rows, raw }] of bySize) {
    const isKept = rows >= threshold && nextNumber < topClasses;
    const known = Object.hasOwn(names, rawName) ? names[rawName]! : rawName;
    const name = isKept ? known : OTHER;
    const number = isKept ? nextNumber++ : nextNumber;
    const label = settings.recipe === "published" ? String(number) : name;
    const index = indexOfLabel.getOrInsertComputed(label, () => list.length);
    if (index === list.length) list.push({ label, name, raw: [], rows: 0 });
    list[index]!.raw.push(
      ...problemType === "multi_label_classification"
        ? [rawName]
        : raw.sort((a, b) => rowsOfRaw[b]! - rowsOfRaw[a]!).map((it) => survey.labels[it]!),
    );
    list[index]!.rows += rows;
    indexOfName.set(rawName, index);
  }
  const classesOfRaw = written.map((label) => [
    ...new Set(classNames(label, problemType).map((name) => indexOfName.get(name)!)),
  ]);
  const labelOfRaw = written.map((label, raw) =>
    problemType === "regression"
      ? label
      : joinClassNames(classesOfRaw[raw]!.map((index) => list[index]!.label))
  );
  return { list, labelOfRaw, classesOfRaw };
}

/** The value below which a share of the values lie, interpolated as in NumPy and pandas. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const below = sorted[Math.floor(place)]!;
  const above = sorted[Math.ceil(place)]!;
  return below + (place - Math.floor(place)) * (above - below);
}

const LabelNames = z.record(z.string(), z.string());

/**
 * The names of raw labels.
 *
 * @param value The setting: `youtube`, names in JSON, or a file of such JSON.
 * @throws {UserError} If it is none of these.
 */
export async function labelNames(value: string | undefined): Promise<Record<string, string>> {
  if (value === undefined) return {};
  if (value === "youtube") return YOUTUBE_CATEGORIES;
  if (!value.startsWith("{")) return await readJson(value, LabelNames);
  try {
    return LabelNames.parse(JSON.parse(value));
  } catch {
    throw new UserError(`Cannot use --label-names ${value}: expected JSON such as {"10": "Music"}`);
  }
}

/** The classes' names by their numbers in training. */
export function id2label(classes: readonly PreparedClass[]): Record<string, string> {
  const nameOf = new Map(classes.map(({ label, name }) => [label, name]));
  const labels = inClassOrder(nameOf.keys());
  return Object.fromEntries(labels.map((label, id) => [id, nameOf.get(label)!]));
}
