/**
 * A linear model on sparse rows, trained by dual coordinate descent.
 *
 * @module
 */
import { Random } from "../../lib/random.ts";

/** Rows with few nonzero columns, one after another. */
export interface SparseRows {
  /** The start of each row in the other two arrays, and the end of the last: `[rows + 1]`. */
  offsets: Uint32Array;
  columns: Uint32Array;
  values: Float32Array;
  columnCount: number;
}

/** Settings of {@link fitHyperplane}. */
export interface HyperplaneOptions {
  /** The weight of the errors against the squared norm; scikit-learn's `C`. */
  errorWeight: number;
  /** Whether targets are numbers to predict rather than signs. */
  regression: boolean;
}

const MAX_PASSES = 50;
/** The largest difference of gradients at which the optimum counts as found. */
const TOLERANCE = 1e-2;
const SEED = 1;

/**
 * Minimises |w|² / 2 + C Σ loss(w·x) by dual coordinate descent (Hsieh et al., 2008, "A dual
 * coordinate descent method for large-scale linear SVM"; for numbers Ho and Lin, 2012, "Large-scale
 * linear support vector regression"), as liblinear does. The loss is the squared hinge
 * max(0, 1 - y w·x)², or the squared error.
 *
 * @param targets 1 or -1, or a number, for each row.
 * @returns A weight for each column, and one for a constant of 1 in every row: `[columns + 1]`.
 */
export function fitHyperplane(
  { offsets, columns, values, columnCount }: SparseRows,
  targets: Float32Array,
  { errorWeight, regression }: HyperplaneOptions,
): Float32Array {
  const hyperplane = new Float32Array(columnCount + 1);
  const rowCount = targets.length;
  const alphas = new Float64Array(rowCount);
  const diagonal = 1 / (2 * errorWeight);
  const curvatures = new Float64Array(rowCount);
  for (let row = 0; row < rowCount; row++) {
    let curvature = 1 + diagonal;
    for (let k = offsets[row]!; k < offsets[row + 1]!; k++) curvature += values[k]! ** 2;
    curvatures[row] = curvature;
  }
  const random = new Random(SEED);
  const order = Uint32Array.from({ length: rowCount }, (_, row) => row);
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    random.shuffle(order);
    let [lowest, highest] = [Infinity, -Infinity];
    for (let i = 0; i < rowCount; i++) {
      const row = order[i]!;
      const [start, end] = [offsets[row]!, offsets[row + 1]!];
      let score = hyperplane[columnCount]!;
      for (let k = start; k < end; k++) score += hyperplane[columns[k]!]! * values[k]!;
      const alpha = alphas[row]!;
      const target = targets[row]!;
      const gradient = regression
        ? score - target + diagonal * alpha
        : target * score - 1 + diagonal * alpha;
      const projected = !regression && alpha === 0 ? Math.min(gradient, 0) : gradient;
      lowest = Math.min(lowest, projected);
      highest = Math.max(highest, projected);
      if (projected === 0) continue;
      const moved = alpha - gradient / curvatures[row]!;
      alphas[row] = regression ? moved : Math.max(moved, 0);
      const change = (regression ? 1 : target) * (alphas[row]! - alpha);
      hyperplane[columnCount]! += change;
      for (let k = start; k < end; k++) hyperplane[columns[k]!]! += change * values[k]!;
    }
    if (highest - lowest < TOLERANCE) break;
  }
  return hyperplane;
}
