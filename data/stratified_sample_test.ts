import { deepStrictEqual, notDeepStrictEqual, ok } from "node:assert";
import fc from "fast-check";
import { stratifiedSample } from "./stratified_sample.ts";

const problemType = "single_label_classification" as const;

/** Rows that are sorted by class. */
function sorted(sizes: Record<string, number>) {
  return Object.entries(sizes).flatMap(([label, size]) =>
    Array.from({ length: size }, (_, i) => ({ text: `${label} ${i}`, label }))
  );
}

Deno.test("stratifiedSample() keeps the shares of the classes and the order of the rows", () => {
  const rows = sorted({ food: 60, sport: 30, other: 10 });
  const sample = [...stratifiedSample(rows, { count: 20, seed: 1, problemType })];
  const sizes = [...Map.groupBy(sample, ({ label }) => label).values()].map((it) => it.length);
  deepStrictEqual(sizes, [12, 6, 2]);
  deepStrictEqual(sample, rows.filter((row) => sample.includes(row)));
  deepStrictEqual(stratifiedSample(rows, { count: 20, seed: 1, problemType }), sample);
  notDeepStrictEqual(stratifiedSample(rows, { count: 20, seed: 2, problemType }), sample);
});

Deno.test("stratifiedSample() gives as many rows as asked, and each class one where it can", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(sizes, fc.integer({ min: 1, max: 300 }), fc.nat(9), (sizes, count, seed) => {
      const rows = sorted(Object.fromEntries(sizes.map((size, i) => [`c${i}`, size])));
      const sample = stratifiedSample(rows, { count, seed, problemType });
      deepStrictEqual(sample.length, Math.min(count, rows.length));
      deepStrictEqual(new Set(sample).size, sample.length);
      const classes = new Set(Array.from(sample, ({ label }) => label)).size;
      ok(classes === sizes.length || count < sizes.length);
    }),
  );
});

Deno.test("stratifiedSample() takes numbers and labels of several classes", () => {
  const rows = Array.from({ length: 40 }, (_, i) => ({ text: `${i}`, label: `${i}` }));
  deepStrictEqual(
    stratifiedSample(rows, { count: 7, seed: 1, problemType: "regression" }).length,
    7,
  );
  const several = rows.map(({ text }, i) => ({ text, label: ["a|b", "b|a", "c"][i % 3]! }));
  const sample = stratifiedSample(several, {
    count: 9,
    seed: 1,
    problemType: "multi_label_classification",
  });
  deepStrictEqual([...sample].filter(({ label }) => label === "c").length, 3);
});

Deno.test("stratifiedSample() gives all rows where it is to give no fewer", () => {
  const rows = sorted({ a: 2, b: 1 });
  deepStrictEqual(stratifiedSample(rows, { count: undefined, seed: 1, problemType }), rows);
  deepStrictEqual(stratifiedSample(rows, { count: 3, seed: 1, problemType }), rows);
});
