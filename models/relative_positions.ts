/**
 * Attention that sees the distances between tokens rather than their positions.
 *
 * @module
 */
import type { Graph, Tensor } from "../onnx/graph/graph.ts";
import { window } from "../onnx/graph/operators.ts";
import { difference, type Dimension, sum } from "../onnx/graph/shape.ts";

/**
 * The row of a table for each distance between a query and a key, their difference in position:
 * int64 `[2*length+1]`, from `length` down to `-length`, in the order that `relativeShift` takes.
 *
 * @param longest The most tokens that a text may have.
 * @param rowOf The row for a distance.
 */
export function distanceRows(
  graph: Graph,
  length: Dimension,
  longest: number,
  rowOf: (distance: number) => number,
): Tensor {
  const rows = graph.integers(
    Array.from({ length: 2 * longest + 1 }, (_, i) => rowOf(longest - i)),
  );
  return window(rows, 0, {
    start: difference(longest, length),
    end: sum([longest, length, 1]),
    size: sum([length, length, 1]),
  });
}

/** The rows for the first query of each text, at the distances 0, -1, -2, …: int64 `[length]`. */
export function firstDistanceRows(
  graph: Graph,
  length: Dimension,
  longest: number,
  rowOf: (distance: number) => number,
): Tensor {
  const rows = graph.integers(Array.from({ length: longest }, (_, key) => rowOf(-key)));
  return window(rows, 0, { start: 0, end: length, size: length });
}
