/**
 * How far predicted numbers are from the true ones, and where.
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
  /** It belongs to the next range, and to this one only if this is the last. */
  to: number;
  n: number;
  /** The mean of what is predicted too much; below 0 it is too little. */
  mean_error: number;
  mean_absolute_error: number;
}

/** The residuals of a regression. */
export interface Residuals {
  /** Some of the texts: the true number, and the predicted one. */
  points: [label: number, predicted: number][];
  /** Those that hold a text, from the lowest on. */
  ranges: ResidualRange[];
}

/** The residuals over ranges of equal width, and about so many points to draw. */
export function residualsOf(
  numbers: readonly PredictedNumber[],
  { ranges = 8, points = 1000 }: { ranges?: number; points?: number } = {},
): Residuals {
  let [lowest, highest] = [Infinity, -Infinity];
  for (const { label } of numbers) {
    lowest = Math.min(lowest, label);
    highest = Math.max(highest, label);
  }
  const width = (highest - lowest) / ranges;
  const edge = (i: number) => i === ranges ? highest : lowest + width * i;
  const sums = Array.from({ length: ranges }, () => ({ n: 0, error: 0, size: 0 }));
  for (const { label, predicted } of numbers) {
    // The division may round across an edge.
    let i = width === 0 ? 0 : Math.min(ranges - 1, Math.floor((label - lowest) / width));
    if (label < edge(i)) i--;
    else if (i < ranges - 1 && label >= edge(i + 1)) i++;
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
