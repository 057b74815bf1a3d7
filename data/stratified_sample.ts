/**
 * Samples training rows, so that the classes have the shares that they have in all.
 *
 * @module
 */
import { Random } from "../lib/random.ts";
import { type Examples, labelsOfRows, selectExamples } from "./example_file.ts";
import { canonicalLabel, type ProblemType } from "./labels.ts";

/** Settings of {@link stratifiedSample}. */
export interface SampleOptions {
  /** The number of rows; all, if there are no more. */
  count: number | undefined;
  seed: number;
  problemType: ProblemType;
}

/**
 * Samples rows by seed, in their order. Each class has its share, rounded, and a row at least where
 * there are as many rows as classes; numbers are sampled without regard to their value.
 */
export function stratifiedSample(
  rows: Examples,
  { count = Infinity, seed, problemType }: SampleOptions,
): Examples {
  if (count >= rows.length) return rows;
  const labels = [...labelsOfRows(rows)];
  const stratumOf = (row: number) =>
    problemType === "regression" ? "" : canonicalLabel(labels[row]!, problemType);
  const random = new Random(seed);
  const strata = [...Map.groupBy(random.shuffle([...labels.keys()]), stratumOf).values()];
  // Largest remainders (Hamilton), except that a class has at least one row where that can be.
  const least = count >= strata.length ? 1 : 0;
  const shares = strata.map((members) => count * members.length / rows.length);
  const sizes = shares.map((share) => Math.max(least, Math.floor(share)));
  const left = count - sizes.reduce((sum, size) => sum + size, 0);
  const byRemainder = [...strata.keys()].sort((a, b) =>
    (shares[b]! - sizes[b]!) - (shares[a]! - sizes[a]!)
  );
  for (const stratum of byRemainder.slice(0, Math.max(0, left))) sizes[stratum]!++;
  for (let over = -left; over > 0; over--) sizes[sizes.indexOf(Math.max(...sizes))]!--;
  const sampled = strata.flatMap((members, stratum) => members.slice(0, sizes[stratum]));
  return selectExamples(rows, sampled.sort((a, b) => a - b));
}
