import { deepStrictEqual, ok } from "node:assert";
import { fitHyperplane, type SparseRows } from "./linear_model.ts";

/** Rows given by their nonzero columns. */
function sparse(rows: readonly (readonly (readonly [number, number])[])[]): SparseRows {
  const offsets = Uint32Array.from([0, ...rows.map((_, i) => rows.slice(0, i + 1).flat().length)]);
  const entries = rows.flat();
  return {
    offsets,
    columns: Uint32Array.from(entries, ([column]) => column),
    values: Float32Array.from(entries, ([, value]) => value),
    columnCount: 1 + Math.max(...entries.map(([column]) => column)),
  };
}

Deno.test("fitHyperplane() finds the optimum of the squared hinge", () => {
  // Two rows, mirrored: w minimises w² / 2 + 2 C (1 - w)², so w = 4 C / (1 + 4 C).
  const rows = sparse([[[0, 1]], [[0, -1]]]);
  const options = { errorWeight: 1, regression: false };
  const [weight, constant] = fitHyperplane(rows, Float32Array.of(1, -1), options);
  ok(Math.abs(weight! - 0.8) < 0.01, `${weight}`);
  ok(Math.abs(constant!) < 0.01, `${constant}`);
});

Deno.test("fitHyperplane() finds the optimum of the squared error", () => {
  // The same rows: w minimises w² / 2 + 2 C (3 - w)², so w = 12 C / (1 + 4 C).
  const rows = sparse([[[0, 1]], [[0, -1]]]);
  const options = { errorWeight: 1, regression: true };
  const [weight, constant] = fitHyperplane(rows, Float32Array.of(3, -3), options);
  ok(Math.abs(weight! - 2.4) < 0.02, `${weight}`);
  ok(Math.abs(constant!) < 0.02, `${constant}`);
});

Deno.test("fitHyperplane() gives the same numbers each time", () => {
  const rows = sparse([[[0, 1], [2, 0.5]], [[1, 1]], [[0, 0.3], [1, -1]]]);
  const targets = Float32Array.of(1, -1, 1);
  const options = { errorWeight: 0.3, regression: false };
  deepStrictEqual(fitHyperplane(rows, targets, options), fitHyperplane(rows, targets, options));
});
