/**
 * McNemar's test: whether two models differ on the same texts by more than chance.
 *
 * @module
 */

/** The numbers of texts by which of two models is right. */
export interface Contingency {
  both: number;
  first_only: number;
  second_only: number;
  neither: number;
}

/** Counts texts by which of two models is right. */
export function contingencyOf(
  first: readonly boolean[],
  second: readonly boolean[],
): Contingency {
  const table = { both: 0, first_only: 0, second_only: 0, neither: 0 };
  for (const [i, isRight] of first.entries()) {
    if (isRight) table[second[i] ? "both" : "first_only"]++;
    else table[second[i] ? "second_only" : "neither"]++;
  }
  return table;
}

/**
 * The two-sided p-value of McNemar's exact test (1947): the probability that the texts on which
 * just one of two equal models is right are divided at least as unevenly.
 */
export function mcnemarP({ first_only, second_only }: Contingency): number {
  const n = first_only + second_only;
  const fewer = Math.min(first_only, second_only);
  // Binomial coefficients and powers of two leave the range of numbers; their logarithms do not.
  let logTerm = -n * Math.LN2;
  let sum = 0;
  for (let k = 0; k <= fewer; k++) {
    sum += Math.exp(logTerm);
    logTerm += Math.log(n - k) - Math.log(k + 1);
  }
  return Math.min(1, 2 * sum);
}
