/**
 * The calibration of scores: of the texts that get 0.8, eight in ten should be right.
 *
 * @module
 */

/** A prediction's score, and whether it was right. */
export interface ScoredPrediction {
  /** The probability of the predicted class. */
  score: number;
  isRight: boolean;
}

/** Predictions whose scores lie in one range. */
export interface CalibrationBin {
  from: number;
  to: number;
  n: number;
  /** Their mean score; 0 where there are none. */
  mean_score: number;
  /** The share of them that is right; 0 where there are none. */
  accuracy: number;
}

/** The surest predictions of some texts. */
export interface CoveragePoint {
  /** Their share of the texts. */
  coverage: number;
  /** The lowest score among them. */
  score: number;
  /** The share of them that is right. */
  accuracy: number;
}

/** The reliability diagram, and its gap in one number. */
export interface Calibration {
  /** The mean distance between score and accuracy over the bins, weighted by their sizes. */
  expected_calibration_error: number;
  bins: CalibrationBin[];
}

/**
 * Computes the expected calibration error (Guo et al., 2017), over bins of equal width, each with
 * its upper end.
 */
export function calibrationOf(predictions: readonly ScoredPrediction[], bins = 10): Calibration {
  const sums = Array.from({ length: bins }, () => ({ n: 0, score: 0, right: 0 }));
  for (const { score, isRight } of predictions) {
    const sum = sums[Math.min(bins - 1, Math.max(0, Math.ceil(score * bins) - 1))]!;
    sum.n++;
    sum.score += score;
    if (isRight) sum.right++;
  }
  const gaps = sums.reduce((total, { score, right }) => total + Math.abs(score - right), 0);
  return {
    expected_calibration_error: predictions.length === 0 ? 0 : gaps / predictions.length,
    bins: sums.map(({ n, score, right }, i) => ({
      from: i / bins,
      to: (i + 1) / bins,
      n,
      mean_score: n === 0 ? 0 : score / n,
      accuracy: n === 0 ? 0 : right / n,
    })),
  };
}

/** The accuracy of the surest predictions, by tenths of the texts; that of all comes first. */
export function coverageOf(predictions: readonly ScoredPrediction[]): CoveragePoint[] {
  const sorted = predictions.toSorted((a, b) => b.score - a.score);
  return [10, 9, 8, 7, 6, 5, 4, 3, 2, 1].flatMap((tenths) => {
    const surest = sorted.slice(0, Math.ceil(tenths * sorted.length / 10));
    if (surest.length === 0) return [];
    const right = surest.filter(({ isRight }) => isRight).length;
    return {
      coverage: tenths / 10,
      score: surest.at(-1)!.score,
      accuracy: right / surest.length,
    };
  });
}
