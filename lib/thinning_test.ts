import { deepStrictEqual, ok } from "node:assert";
import fc from "fast-check";
import { keptPoints } from "./thinning.ts";

Deno.test("keptPoints() keeps a short series as it is", () => {
  deepStrictEqual(keptPoints([[5, 3, 4]], 3), [0, 1, 2]);
  deepStrictEqual(keptPoints([[]], 3), []);
});

Deno.test("keptPoints() keeps the ends, the lowest and the highest of every column", () => {
  const values = fc.array(fc.double({ noNaN: true }), { minLength: 30, maxLength: 300 });
  fc.assert(fc.property(values, values, (a, b) => {
    const length = Math.min(a.length, b.length);
    const columns = [a.slice(0, length), b.slice(0, length)];
    const kept = keptPoints(columns, 20);
    ok(kept.length <= 20);
    deepStrictEqual(kept, [...new Set(kept)].sort((x, y) => x - y));
    deepStrictEqual([kept[0], kept.at(-1)], [0, length - 1]);
    for (const column of columns) {
      const shown = kept.map((i) => column[i]!);
      deepStrictEqual(Math.min(...shown), Math.min(...column));
      deepStrictEqual(Math.max(...shown), Math.max(...column));
    }
  }));
});
