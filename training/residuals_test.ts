import { deepStrictEqual, ok, strictEqual } from "node:assert";
import * as fc from "fast-check";
import { residualsOf } from "./residuals.ts";

Deno.test("residualsOf() tells the error of each range that holds a text", () => {
  const numbers = [[0, 1], [1, 1], [9, 7], [10, 12]]
    .map(([label, predicted]) => ({ label: label!, predicted: predicted! }));
  deepStrictEqual(residualsOf(numbers, { ranges: 5 }).ranges, [
    { from: 0, to: 2, n: 2, mean_error: 0.5, mean_absolute_error: 0.5 },
    { from: 8, to: 10, n: 2, mean_error: 0, mean_absolute_error: 2 },
  ]);
});

Deno.test("residualsOf() puts every text into the range that its label lies in", () => {
  const number = fc.double({ noNaN: true, min: -1e6, max: 1e6 });
  fc.assert(
    fc.property(fc.array(number, { minLength: 1 }), (labels) => {
      const { ranges } = residualsOf(labels.map((label) => ({ label, predicted: 0 })));
      for (const [i, { from, to, n }] of ranges.entries()) {
        const isLast = i === ranges.length - 1;
        const inside = labels.filter((it) => it >= from && (isLast ? it <= to : it < to));
        strictEqual(n, inside.length);
      }
      strictEqual(ranges.reduce((sum, { n }) => sum + n, 0), labels.length);
    }),
    { examples: [[[999999.9999999988, 999999.999999999]], [[1e308, -1e308, 0]]] },
  );
});

Deno.test("residualsOf() draws some of many texts, and takes none and equal ones", () => {
  const many = Array.from({ length: 5000 }, (_, i) => ({ label: i, predicted: i }));
  const { points } = residualsOf(many, { points: 100 });
  ok(points.length <= 100 && points.length > 90);
  deepStrictEqual(residualsOf([]), { points: [], ranges: [] });
  strictEqual(residualsOf([{ label: 2, predicted: 3 }]).ranges.length, 1);
});
