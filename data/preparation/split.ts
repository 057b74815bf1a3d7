/**
 * Splits rows into training, validation and test sides. Every split is a pure function of its
 * arguments.
 *
 * @module
 */
import { mersenne } from "pure-rand/generator/mersenne";
import { Random } from "../../lib/random.ts";

/** One side of a split. */
export type Side = "train" | "validation" | "test";

/** The sides in the order of their numbers: 0, 1 and 2. */
export const SIDES: readonly Side[] = ["train", "validation", "test"];

/** Settings of the splits. */
export interface SplitOptions {
  /** The share of the rows that go to the test side. */
  testRatio: number;
  /** The share of the rows that go to the validation side. */
  valRatio: number;
  seed: number;
}

/** The most rows of rounding error that one class may pass on to the next. */
const MAX_CARRY = 1;

/**
 * Keeps the rows of a group on one side, and each class's shares of rows as close to the ratios as
 * groups allow. Each class has a row on the training side.
 *
 * A group has the commonest class of its rows. The groups of a class are taken from large to small,
 * in random order among those of one size; each goes to the side that lacks the most rows.
 *
 * @param labels The class of each row, counted from 0.
 * @param groups The group of each row, counted from 0.
 * @returns The side of each row, as an index into {@link SIDES}.
 */
export function groupedSplit(
  labels: Int32Array,
  groups: Int32Array,
  { testRatio, valRatio, seed }: SplitOptions,
): Uint8Array {
  const classCount = countOf(labels);
  const sizes = new Int32Array(countOf(groups));
  for (const group of groups) sizes[group]!++;
  const order = new Random(seed)
    .shuffle([...sizes.keys()].filter((group) => sizes[group]! > 0))
    .sort((a, b) => sizes[b]! - sizes[a]!);

  const classOfGroup = commonestLabels(labels, groups, sizes);
  const groupsOfClass = Array.from({ length: classCount }, () => [] as number[]);
  for (const group of order) groupsOfClass[classOfGroup[group]!]!.push(group);
  const forced = groupsForTraining(labels, groups, order);

  const ratios = [1 - testRatio - valRatio, valRatio, testRatio];
  const sides = new Uint8Array(sizes.length);
  let carry = [0, 0, 0];
  for (const members of groupsOfClass) {
    const rows = members.reduce((sum, group) => sum + sizes[group]!, 0);
    const lacking = ratios.map((ratio, side) => ratio * rows + carry[side]!);
    const take = (group: number, side: number) => {
      sides[group] = side;
      lacking[side]! -= sizes[group]!;
    };
    for (const group of members) if (forced.has(group)) take(group, 0);
    for (const group of members) {
      if (!forced.has(group)) take(group, lacking.indexOf(Math.max(...lacking)));
    }
    carry = lacking.map((value) => Math.max(-MAX_CARRY, Math.min(MAX_CARRY, value)));
  }
  return Uint8Array.from(groups, (group) => sides[group]!);
}

/** {@link groupedSplit} where each row is a group of its own. */
export function stratifiedSplit(labels: Int32Array, options: SplitOptions): Uint8Array {
  return groupedSplit(labels, Int32Array.from(labels.keys()), options);
}

/**
 * Splits by row, at random, as the published recipe does: the test and validation rows together are
 * exactly those of scikit-learn's `train_test_split` with `random_state`; they are then divided so
 * that classes have like shares.
 */
export function randomSplit(
  labels: Int32Array,
  { testRatio, valRatio, seed }: SplitOptions,
): Uint8Array {
  const heldOutRatio = testRatio + valRatio;
  const heldOut = numpyPermutation(labels.length, seed)
    .subarray(0, Math.ceil(withoutError(heldOutRatio * labels.length)));
  const testRows = Math.floor(withoutError(testRatio / heldOutRatio * heldOut.length));
  const testShare = testRows / heldOut.length;
  const parts = stratifiedSplit(
    heldOut.map((row) => labels[row]!),
    { testRatio: 0, valRatio: 1 - testShare, seed },
  );
  const sides = new Uint8Array(labels.length);
  for (const [i, row] of heldOut.entries()) sides[row] = parts[i] === 1 ? 1 : 2;
  return sides;
}

/** A number of rows without the error of binary fractions: 0.16 / 0.2 of 20 is 16. */
function withoutError(rows: number): number {
  return Math.round(rows * 1e9) / 1e9;
}

/**
 * `numpy.random.RandomState(seed).permutation(length)`: Fisher and Yates with the Mersenne Twister,
 * drawing numbers of as many bits as the limit until one is within it.
 */
export function numpyPermutation(length: number, seed: number): Int32Array {
  const generator = mersenne(seed);
  const permutation = Int32Array.from({ length }, (_, i) => i);
  for (let last = length - 1; last > 0; last--) {
    const mask = 2 ** (32 - Math.clz32(last)) - 1;
    let other: number;
    do other = generator.next() & mask; while (other > last);
    [permutation[last], permutation[other]] = [permutation[other]!, permutation[last]!];
  }
  return permutation;
}

/**
 * Moves groups to the training side until each class has a row there: a model cannot predict a
 * class that it has never seen.
 *
 * @param sides The side of each row, changed in place.
 * @param groups The group of each row.
 * @param classesOf The classes of a row.
 */
export function keepClassesInTraining(
  sides: Uint8Array,
  groups: Int32Array,
  classesOf: (row: number) => readonly number[],
): void {
  const trained = new Set<number>();
  for (const [row, side] of sides.entries()) {
    if (side === 0) { for (const label of classesOf(row)) trained.add(label); }
  }
  const moved = new Set<number>();
  for (const row of sides.keys()) {
    if (classesOf(row).every((label) => trained.has(label))) continue;
    for (const label of classesOf(row)) trained.add(label);
    moved.add(groups[row]!);
  }
  if (moved.size === 0) return;
  for (const [row, group] of groups.entries()) if (moved.has(group)) sides[row] = 0;
}

/**
 * The training rows to keep so that each class has as many as the smallest one.
 *
 * @returns Whether each row is kept; rows of other sides always are.
 */
export function balancedRows(labels: Int32Array, sides: Uint8Array, seed: number): boolean[] {
  const rowsOfClass = Map.groupBy(
    [...labels.keys()].filter((row) => sides[row] === 0),
    (row) => labels[row]!,
  );
  const smallest = Math.min(...[...rowsOfClass.values()].map((rows) => rows.length));
  const keep = new Array<boolean>(labels.length).fill(true);
  for (const [label, rows] of rowsOfClass) {
    for (const row of new Random(seed, label).shuffle(rows).slice(smallest)) keep[row] = false;
  }
  return keep;
}

function countOf(indices: Int32Array): number {
  return indices.reduce((most, index) => Math.max(most, index + 1), 0);
}

/** The commonest label of each group; of equally common ones the smallest. */
function commonestLabels(labels: Int32Array, groups: Int32Array, sizes: Int32Array): Int32Array {
  const commonest = new Int32Array(sizes.length).fill(-1);
  const mixed = new Map<number, number[]>();
  for (const [row, group] of groups.entries()) {
    if (commonest[group] === -1) commonest[group] = labels[row]!;
    else if (commonest[group] !== labels[row]) mixed.set(group, []);
  }
  for (const [row, group] of groups.entries()) mixed.get(group)?.push(labels[row]!);
  for (const [group, members] of mixed) {
    const counts = [...Map.groupBy(members, (label) => label)]
      .map(([label, { length }]) => ({ label, length }));
    counts.sort((a, b) => b.length - a.length || a.label - b.label);
    commonest[group] = counts[0]!.label;
  }
  return commonest;
}

/** Groups that together have every label, the smallest ones if possible. */
function groupsForTraining(
  labels: Int32Array,
  groups: Int32Array,
  order: readonly number[],
): Set<number> {
  const rank = new Int32Array(countOf(groups));
  for (const [place, group] of order.entries()) rank[group] = place;
  const chosen = new Map<number, number>();
  for (const [row, label] of labels.entries()) {
    const group = groups[row]!;
    const before = chosen.get(label);
    if (before === undefined || rank[group]! > rank[before]!) chosen.set(label, group);
  }
  return new Set(chosen.values());
}
