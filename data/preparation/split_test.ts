import { deepStrictEqual, ok } from "node:assert";
import fc from "fast-check";
import {
  balancedRows,
  groupedSplit,
  numpyPermutation,
  randomSplit,
  stratifiedSplit,
} from "./split.ts";

const options = fc.record({
  testRatio: fc.double({ min: 0.1, max: 0.4, noNaN: true }),
  valRatio: fc.double({ min: 0.1, max: 0.3, noNaN: true }),
  seed: fc.nat(),
});

/** Rows as pairs of class and group; groups have up to `groupSize` rows on average. */
const rows = (count: { min: number; max: number }, classes: number, groupSize: number) =>
  fc.integer(count).chain((length) =>
    fc.record({
      labels: fc.int32Array({ min: 0, max: classes - 1, minLength: length, maxLength: length }),
      groups: fc.int32Array({
        min: 0,
        max: Math.ceil(length / groupSize) - 1,
        minLength: length,
        maxLength: length,
      }),
    })
  );

Deno.test("groupedSplit() keeps a group on one side, and is a pure function", () => {
  fc.assert(
    fc.property(rows({ min: 1, max: 200 }, 6, 4), options, ({ labels, groups }, options) => {
      const sides = groupedSplit(labels, groups, options);
      const sideOf = new Map<number, number>();
      for (const [row, group] of groups.entries()) {
        deepStrictEqual(sideOf.get(group) ?? sides[row], sides[row]);
        sideOf.set(group, sides[row]!);
      }
      deepStrictEqual(groupedSplit(labels, groups, options), sides);
    }),
  );
});

Deno.test("groupedSplit() puts each class on the training side", () => {
  fc.assert(fc.property(rows({ min: 1, max: 60 }, 8, 3), options, ({ labels, groups }, options) => {
    const sides = groupedSplit(labels, groups, options);
    const inTraining = new Set(labels.filter((_, row) => sides[row] === 0));
    deepStrictEqual(inTraining, new Set(labels));
  }));
});

/** The share of each class on a side. */
function shares(labels: Int32Array, sides: Uint8Array, side: number): number[] {
  const onSide = labels.filter((_, row) => sides[row] === side);
  return [0, 1, 2, 3].map((label) =>
    onSide.filter((other) => other === label).length / onSide.length
  );
}

Deno.test("groupedSplit() gives classes alike shares where groups are small", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1500, maxLength: 2500 });
  const shape = fc.tuple(
    sizes,
    fc.nat(),
    fc.array(fc.integer({ min: 1, max: 9 }), {
      minLength: 4,
      maxLength: 4,
    }),
  );
  fc.assert(
    fc.property(shape, options, ([sizes, start, weights], options) => {
      const pattern = weights.flatMap((weight, label) => new Array<number>(weight).fill(label));
      const groups = Int32Array.from(sizes.flatMap((size, group) => Array(size).fill(group)));
      const labels = groups.map((group) => pattern[(start + group) * 7919 % pattern.length]!);
      const sides = groupedSplit(labels, groups, options);
      for (const side of [1, 2]) {
        for (const [label, share] of shares(labels, sides, side).entries()) {
          const difference = Math.abs(share - shares(labels, sides, 0)[label]!);
          ok(difference < 0.02, `class ${label} differs by ${difference} on side ${side}`);
        }
      }
      const testShare = sides.filter((side) => side === 2).length / labels.length;
      ok(Math.abs(testShare - options.testRatio) < 0.01, `the test side has ${testShare}`);
    }),
    { numRuns: 30 },
  );
});

Deno.test("groupedSplit() makes good in one class what rounding cost in another", () => {
  const groups = Int32Array.from({ length: 900 }, (_, row) => row);
  const sides = groupedSplit(groups.map((row) => Math.floor(row / 3)), groups, {
    testRatio: 0.2,
    valRatio: 0.1,
    seed: 1,
  });
  const counts = [0, 1, 2].map((side) => sides.filter((other) => other === side).length);
  ok(Math.abs(counts[1]! - 90) <= 2 && Math.abs(counts[2]! - 180) <= 2, counts.join());
});

Deno.test("groupedSplit() finds room for large groups first", () => {
  const groups = Int32Array.from({ length: 100 }, (_, row) => row < 60 ? 0 : row);
  for (let seed = 0; seed < 20; seed++) {
    const options = { testRatio: 0.2, valRatio: 0.2, seed };
    const sides = groupedSplit(new Int32Array(100), groups, options);
    const counts = [0, 1, 2].map((side) => sides.filter((other) => other === side).length);
    // The small group that ensures the class on the training side may add a row.
    ok(counts[0]! - 60 <= 1 && Math.abs(counts[1]! - counts[2]!) <= 1, counts.join());
  }
});

Deno.test("groupedSplit() depends on the seed", () => {
  const labels = new Int32Array(100).map((_, row) => row % 2);
  const groups = new Int32Array(labels.keys());
  const split = (seed: number) =>
    groupedSplit(labels, groups, { testRatio: 0.2, valRatio: 0.1, seed });
  ok(split(1).some((side, row) => side !== split(2)[row]));
});

Deno.test("stratifiedSplit() gives each side its share of each class", () => {
  const labels = new Int32Array(1000).map((_, row) => row % 10 === 0 ? 1 : 0);
  const sides = stratifiedSplit(labels, { testRatio: 0.2, valRatio: 0.1, seed: 1 });
  const count = (side: number, label: number) =>
    sides.filter((other, row) => other === side && labels[row] === label).length;
  deepStrictEqual([0, 1, 2].map((side) => [count(side, 0), count(side, 1)]), [
    [630, 70],
    [90, 10],
    [180, 20],
  ]);
});

Deno.test("numpyPermutation() is NumPy's", () => {
  deepStrictEqual([...numpyPermutation(10, 42)], [8, 1, 5, 0, 7, 2, 9, 4, 3, 6]);
  deepStrictEqual([...numpyPermutation(40_895, 42).slice(0, 4)], [14339, 11644, 15999, 33730]);
  deepStrictEqual([...numpyPermutation(5, 7)], [0, 3, 2, 1, 4]);
});

Deno.test("randomSplit() has as many rows on each side as the published files", () => {
  const labels = new Int32Array(40_895).map((_, row) => row % 6);
  const sides = randomSplit(labels, { testRatio: 0.16, valRatio: 0.04, seed: 42 });
  const count = (side: number) => sides.filter((other) => other === side).length;
  deepStrictEqual([count(0), count(1), count(2)], [32_716, 1636, 6543]);
  // The first row of scikit-learn's permutation is held out.
  ok(sides[14339] !== 0);
});

Deno.test("balancedRows() keeps as many training rows of each class", () => {
  fc.assert(fc.property(rows({ min: 20, max: 200 }, 3, 1), options, ({ labels }, options) => {
    const sides = stratifiedSplit(labels, options);
    const keep = balancedRows(labels, sides, options.seed);
    ok(keep.every((isKept, row) => isKept || sides[row] === 0));
    const counts = [
      ...Map.groupBy(
        [...labels.keys()].filter((row) => sides[row] === 0),
        (row) => labels[row]!,
      ).values(),
    ].map((rows) => [rows.length, rows.filter((row) => keep[row]).length] as const);
    const smallest = Math.min(...counts.map(([before]) => before));
    ok(counts.every(([, after]) => after === smallest));
  }));
});

Deno.test("randomSplit() is not led astray by binary fractions", () => {
  const counts = (length: number, testRatio: number, valRatio: number) => {
    const labels = Int32Array.from({ length }, (_, i) => i % 2);
    const sides = randomSplit(labels, { testRatio, valRatio, seed: 42 });
    return [0, 1, 2].map((side) => sides.filter((found) => found === side).length);
  };
  // scikit-learn's counts; 0.16 / 0.2 and 0.2 + 0.1 are not what they seem.
  deepStrictEqual(counts(100, 0.16, 0.04), [80, 4, 16]);
  deepStrictEqual(counts(1000, 0.2, 0.1), [700, 100, 200]);
});
