/**
 * Labels that are written differently and mean the same, words that mean that there is no label, and
 * lists where the name of a class is wanted.
 *
 * @module
 */
import { basename } from "node:path";
import { count, listOf } from "../lib/format.ts";
import { classNames, joinClassNames, labelFault, type ProblemType } from "./labels.ts";

/** The words that files have where there is no value, folded. */
const NULL_WORDS: ReadonlySet<string> = new Set([
  ...["nan", "-nan", "nat", "none", "null", "nil", "na", "n/a", "undefined"],
  ...["#na", "#n/a", "#n/a n/a", "#null!", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"],
  ...["<na>", "<none>", "<null>", "(none)", "(null)", "\\n"],
  ...["-", "--", "–", "—", "?"],
]);

/** The most groups or examples that are named. */
const NAMED = 10;

/** The number of rows of each label. */
export type LabelCounts = ReadonlyMap<string, number>;

/**
 * The same text for names that differ only in case, spaces, Unicode form, characters that cannot be
 * seen, the form of dashes and apostrophes, or the format of a number: `1` and `1.0`.
 */
export function foldName(name: string): string {
  const folded = name.normalize("NFKC")
    .replaceAll(/\p{Default_Ignorable_Code_Point}|(?!\s)\p{Cc}/gu, "")
    .replaceAll(/[\s\p{Z}]+/gu, " ")
    .trim()
    .toLowerCase()
    .normalize("NFKC")
    // Programs for writing put these for the plain ones.
    .replaceAll(/[\p{Pd}\u2212]/gu, "-")
    .replaceAll("’", "'")
    // Capitals have one form of these letters.
    .replaceAll("ß", "ss")
    .replaceAll("ς", "σ");
  return foldNumber(folded) ?? folded;
}

/** The plainest form of a number: `1` for `+1.0`, `01`, `1,0` and `1e0`; `undefined` for other names. */
function foldNumber(name: string): string | undefined {
  // Three digits after a comma may belong to thousands.
  if (/,\d{3}$/.test(name)) return undefined;
  const [, sign, whole = "", fraction = "", exponent = "0"] =
    /^([+-]?)(?=[.,]?\d)(\d*)(?:[.,](\d*))?(?:e([+-]?\d{1,2}))?$/.exec(name) ?? [];
  if (sign === undefined) return undefined;
  const shift = Number(exponent);
  const point = Math.max(0, whole.length + shift);
  const digits = ("0".repeat(Math.max(0, -whole.length - shift)) + whole + fraction)
    .padEnd(point, "0");
  const integer = digits.slice(0, point).replace(/^0+/, "") || "0";
  const decimals = digits.slice(point).replace(/0+$/, "");
  const folded = decimals === "" ? integer : `${integer}.${decimals}`;
  return sign === "-" && folded !== "0" ? `-${folded}` : folded;
}

/** Whether a name is a word for no value, such as `NaN`. */
export function isNullWord(name: string): boolean {
  return NULL_WORDS.has(foldName(name));
}

/** The label that GLUE, SNLI and the `datasets` library give to a row without one. */
const NO_LABEL = "-1";

/**
 * The word for no label, if all labels of a file are this word, as in the test files of
 * competitions; else `undefined`.
 */
export function wordForNoLabels(labels: Iterable<string>): string | undefined {
  const distinct = new Set(labels);
  const [word] = distinct;
  const means = word === "" || word === NO_LABEL || (word !== undefined && isNullWord(word));
  return distinct.size === 1 && means ? word : undefined;
}

/** The names of a list as Python, NumPy, JSON or PostgreSQL write it, such as `['a', 'b']`; else `undefined`. */
export function listedNames(label: string): string[] | undefined {
  const inner = /^\[(.*)\]$/su.exec(label)?.[1] ?? /^[({](\s*['"].*)[)}]$/su.exec(label)?.[1] ??
    /^\{([^{}]*,[^{}]*)\}$/su.exec(label)?.[1];
  if (inner === undefined) return undefined;
  // NumPy puts no commas.
  if (/^\s*[-+]?[\d.]+(\s+[-+]?[\d.]+)+\s*$/.test(inner)) return inner.trim().split(/\s+/);
  const part =
    /\s*(?:'((?:\\.|[^'\\])*)'|"((?:\\.|[^"\\])*)"|([^\s,'"[\](){}][^,]*?))\s*(?:,|\s(?=['"])|$)/suy;
  const names: string[] = [];
  for (part.lastIndex = 0; part.lastIndex < inner.trimEnd().length;) {
    const found = part.exec(inner);
    if (found === null) return undefined;
    const quoted = found[1] ?? found[2];
    names.push((quoted?.replaceAll(/\\(.)/gsu, "$1") ?? found[3]!).trim());
  }
  return names.filter((name) => name !== "");
}

/**
 * Gives labels that mean the same one spelling, the commonest. Words for no value are one class; where
 * a text may have several classes they are none, and lists are taken apart.
 */
export class LabelNormaliser {
  readonly #problemType: ProblemType;
  readonly #spellings = new Map<string, string>();
  readonly #isList: (label: string) => boolean;

  constructor(counts: LabelCounts, problemType: ProblemType) {
    this.#problemType = problemType;
    this.#isList = commaLists(counts, problemType);
    const rowsOf = new Map<string, Map<string, number>>();
    for (const [label, rows] of counts) {
      for (const name of this.#namesIn(label)) {
        const spellings = rowsOf.getOrInsertComputed(keyOf(name), () => new Map());
        spellings.set(name, (spellings.get(name) ?? 0) + rows);
      }
    }
    for (const [key, spellings] of rowsOf) {
      const [spelling] = [...spellings].reduce((most, it) => it[1] > most[1] ? it : most);
      this.#spellings.set(key, spelling);
    }
  }

  /** A label in the spelling of its class or classes; one that is not known keeps its own. */
  apply(label: string): string {
    if (this.#problemType === "regression") return label;
    const names = this.#namesIn(label).map((name) => this.#spellings.get(keyOf(name)) ?? name);
    if (this.#problemType === "single_label_classification") return names[0] ?? "";
    return joinClassNames([...new Set(names)]);
  }

  #namesIn(label: string): string[] {
    const listed = listedNames(label);
    if (this.#problemType === "single_label_classification") {
      return listed?.length === 1 ? listed : [label];
    }
    const parts = this.#isList(label) ? namesBetween(label, this.#problemType) : undefined;
    const names = listed ?? parts ??
      classNames(label, this.#problemType);
    return names.filter((name) => !isNullWord(name));
  }
}

/** The rule that a label to be normalised breaks; `undefined` for a sound one. */
export function normalisedLabelFault(label: string, problemType: ProblemType): string | undefined {
  const listed = problemType === "regression" ? undefined : listedNames(label);
  if (listed === undefined || listed.length === 1) return labelFault(label, problemType);
  if (problemType === "single_label_classification") {
    return `the label ${label} names ${listed.length} classes; expected one`;
  }
  const isVector = listed.every((name) => ["0", "1"].includes(foldName(name))) &&
    new Set(listed).size < listed.length;
  if (isVector) {
    return `the label ${label} is a vector of zeros and ones; expected names of classes`;
  }
  const joined = listed.find((name) => name.includes("|"));
  return joined === undefined ? undefined : `'${joined}' in the label holds a |, which joins names`;
}

/** Finds the rows that are to be left out by their labels, and counts them. */
export class SkippedLabels {
  readonly #keys: ReadonlySet<string>;
  /** Whether a label is one of them: a file has few labels and many rows. */
  readonly #known = new Map<string, boolean>();
  readonly #rows = new Map<string, number>();

  /** @param labels Labels separated by commas; case, spaces and the format of numbers do not count. */
  constructor(labels: string | undefined) {
    this.#keys = new Set(labels?.split(",").map(foldName));
  }

  /** Whether a row with this label is left out. */
  skips(label: string): boolean {
    if (this.#keys.size === 0) return false;
    const isSkipped = this.#known.getOrInsertComputed(label, () => this.#keys.has(foldName(label)));
    if (isSkipped) this.#rows.set(label, (this.#rows.get(label) ?? 0) + 1);
    return isSkipped;
  }

  /** The number of rows that are left out. */
  get count(): number {
    return this.#rows.values().reduce((sum, rows) => sum + rows, 0);
  }

  /** A note for the user on the rows that are left out; `undefined` if there are none. */
  note(file: string): string | undefined {
    if (this.#rows.size === 0) return undefined;
    return `${count(this.count)} ${this.count === 1 ? "row" : "rows"} of '${basename(file)}' ` +
      `${this.count === 1 ? "is" : "are"} left out by --skip-labels: ${rowsEach([...this.#rows])}`;
  }
}

/** The same key for names of one class. */
function keyOf(name: string): string {
  return isNullWord(name) ? "null" : foldName(name);
}

/**
 * Notes for the user on labels before training on them, with the rows of each: classes that seem to
 * be the same, words for no value, lists. None where labels are numbers.
 */
export function labelNotes(counts: LabelCounts, problemType: ProblemType): string[] {
  if (problemType === "regression") return [];
  const names = new Map<string, number>();
  for (const [label, rows] of counts) {
    for (const name of classNames(label, problemType)) {
      names.set(name, (names.get(name) ?? 0) + rows);
    }
  }
  const notes: string[] = [];
  const nulls = [...names].filter(([name]) => isNullWord(name));
  const groups = [...Map.groupBy(names, ([name]) => foldName(name)).values()]
    .filter((group) => group.length > 1 && !isNullWord(group[0]![0]));
  if (groups.length > 0) {
    notes.push(
      `Labels that differ only in case, spaces or form are classes of their own: ` +
        `${
          listOf(groups.map((group) => rowsEach(group, " / ")), NAMED)
        }. --normalize-labels merges them`,
    );
  }
  if (nulls.length > 0) {
    notes.push(
      `Words that mean no label are ${nulls.length > 1 ? "classes" : "a class"}: ` +
        `${rowsEach(nulls)}. ` + (nulls.length > 1 ? "--normalize-labels merges them, " : "") +
        `--skip-labels ${quotedForShell(nulls)} leaves these rows out`,
    );
  }
  const unlabelled = names.get(NO_LABEL);
  // All of -1, 0 and 1 may be classes.
  const isOdd = [...names.keys()].some((name) => !["-1", "0", "1"].includes(foldName(name)));
  if (unlabelled !== undefined && isOdd) {
    notes.push(
      `The label '${NO_LABEL}' of ${count(unlabelled)} ${unlabelled === 1 ? "row" : "rows"} is a ` +
        `class like any other; where it means that there is none, as in GLUE, SNLI and Python's ` +
        `datasets, --skip-labels ${NO_LABEL} leaves these rows out`,
    );
  }
  const isFraction = (name: string) => /[.,]\d*[1-9]/.test(name);
  if (
    names.size >= MANY_NUMBERS && names.keys().every(isNumber) && names.keys().some(isFraction)
  ) {
    notes.push(
      `The ${count(names.size)} labels are numbers, and each is a class of its own; ` +
        "--problem-type regression learns them as numbers",
    );
  }
  const isCommaList = commaLists(counts, problemType);
  const lists = [...counts].filter(([label]) =>
    listedNames(label) !== undefined || isCommaList(label)
  );
  if (lists.length > 0) {
    const rows = lists.reduce((sum, [, rows]) => sum + rows, 0);
    const flags = problemType === "multi_label_classification"
      ? "--normalize-labels"
      : "--problem-type multi_label_classification --normalize-labels";
    const have = `${count(rows)} ${rows === 1 ? "row has" : "rows have"}`;
    notes.push(
      `${have} a list where the name of a class is wanted: ${rowsEach(lists)}. ` +
        `${flags} takes lists apart`,
    );
  }
  return notes;
}

/** The count of distinct numbers from which on they are hardly names of classes. */
const MANY_NUMBERS = 20;

function isNumber(name: string): boolean {
  return /^[-+]?\d*[.,]?\d+(e[-+]?\d+)?$/i.test(name);
}

/** Labels as a flag takes them, in a shell. */
function quotedForShell(labels: readonly (readonly [string, number])[]): string {
  const list = labels.slice(0, NAMED).map(([label]) => label).join(",");
  return /^[\w,.-]+$/.test(list) ? list : `'${list}'`;
}

function rowsEach(labels: readonly (readonly [string, number])[], separator?: string): string {
  const items = labels.map(([label, rows]) => `${JSON.stringify(label)} (${count(rows)})`);
  return listOf(items, NAMED, separator);
}

/** A test for labels that are lists such as `a,b`: all their parts stand in other labels, too. */
function commaLists(
  counts: LabelCounts,
  problemType: ProblemType,
): (label: string) => boolean {
  if (problemType === "regression") return () => false;
  // Numbers may have commas for points.
  if (counts.keys().every((label) => /^[-+]?\d+,\d+$/.test(label))) return () => false;
  const labelsWith = new Map<string, number>();
  const partsOf = (label: string) => namesBetween(label, problemType);
  for (const label of counts.keys()) {
    for (const part of new Set(partsOf(label))) {
      labelsWith.set(part, (labelsWith.get(part) ?? 0) + 1);
    }
  }
  return (label) => {
    const parts = partsOf(label);
    return parts.length > 1 && parts.every((part) => part !== "" && labelsWith.get(part)! > 1);
  };
}

/** Splits a label at the signs that people put between names; at `|` too, where it is no separator. */
function namesBetween(label: string, problemType: ProblemType): string[] {
  const signs = problemType === "single_label_classification" ? /[,;|]/ : /[,;]/;
  return label.split(signs).map((part) => part.trim());
}
