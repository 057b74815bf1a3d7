/**
 * The residuals of predicted numbers, by ranges of the true ones.
 *
 * @module
 */

/** A number that was predicted beside the true one. */
export interface PredictedNumber {
  label: number;
  predicted: number;
}

/** The texts whose true numbers lie in one range. */
export interface ResidualRange {
  from: number;
  /** The upper end, which belongs to the next range, and to this one only if it is the last. */
  to: number;
  n: number;
  /** The mean of prediction less true number: above 0 too much is predicted, below 0 too little. */
  mean_error: number;
  mean_absolute_error: number;
}

/** The residuals of a regression. */
export interface Residuals {
  /** The true number and the predicted one of some of the texts. */
  points: [label: number, predicted: number][];
  /** The ranges that hold a text, from the lowest on. */
  ranges: ResidualRange[];
}

/** Computes the residuals over ranges of equal width, with about `points` points to draw. */
export function residualsOf(
  numbers: readonly PredictedNumber[],
  { ranges = 8, points = 1000 }: { ranges?: number; points?: number } = {},
): Residuals {
  let [lowest, highest] = [Infinity, -Infinity];
  for (const { label } of numbers) {
    lowest = Math.min(lowest, label);
    highest = Math.max(highest, label);
  }
  const span = highest - lowest;
  // The largest numbers lie further apart than a number can say.
  const width = Number.isFinite(span) ? span / ranges : highest / ranges - lowest / ranges;
  const edge = (i: number) => i === ranges ? highest : lowest + width * i;
  const sums = Array.from({ length: ranges }, () => ({ n: 0, error: 0, size: 0 }));
  for (const { label, predicted } of numbers) {
    // The division may round across an edge, and across several where the numbers hardly differ.
    let i = width === 0 ? 0 : Math.min(ranges - 1, Math.floor((label - lowest) / width));
    while (i > 0 && label < edge(i)) i--;
    while (i < ranges - 1 && label >= edge(i + 1)) i++;
    const sum = sums[i]!;
    sum.n++;
    sum.error += predicted - label;
    sum.size += Math.abs(predicted - label);
  }
  const stride = Math.ceil(numbers.length / points);
  return {
    points: numbers
      .filter((_, i) => i % stride === 0)
      .map(({ label, predicted }) => [label, predicted]),
    ranges: sums.flatMap(({ n, error, size }, i) =>
      n === 0 ? [] : {
        from: edge(i),
        to: width === 0 ? highest : edge(i + 1),
        n,
        mean_error: error / n,
        mean_absolute_error: size / n,
      }
    ),
  };
}
