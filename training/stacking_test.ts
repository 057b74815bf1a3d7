import { deepStrictEqual, ok } from "node:assert";
import fc from "fast-check";
import { PROBLEM_TYPES, type ProblemType } from "../data/labels.ts";
import { fitScales, pooledLogits } from "./stacking.ts";
import { lossOf } from "./loss.ts";

/** The mean loss under some scales. */
function meanLoss(
  models: readonly number[][][],
  labels: readonly number[][],
  problemType: ProblemType,
  scales: readonly number[],
): number {
  const losses = labels.map((row, i) =>
    lossOf(pooledLogits(models.map((rows) => rows[i]!), scales, row.length), row, problemType)
  );
  return losses.reduce((a, b) => a + b) / losses.length;
}

for (const problemType of PROBLEM_TYPES) {
  Deno.test(`fitScales() finds the least loss in ${problemType}`, () => {
    const width = problemType === "regression" ? 1 : 3;
    const logit = fc.integer({ min: -20, max: 20 }).map((value) => value / 8);
    const row = fc.array(logit, { minLength: width, maxLength: width });
    const label = problemType === "regression"
      ? fc.tuple(fc.integer({ min: -5, max: 5 }))
      : problemType === "multi_label_classification"
      ? fc.array(fc.constantFrom(0, 1), { minLength: width, maxLength: width })
      : fc.nat(width - 1).map((index) => Array.from({ length: width }, (_, i) => +(i === index)));
    const text = fc.record({ a: row, b: row, label });
    const property = fc.property(fc.array(text, { minLength: 4, maxLength: 30 }), (texts) => {
      const models = [texts.map(({ a }) => a), texts.map(({ b }) => b)];
      const labels = texts.map(({ label }) => label);
      const { scales, loss } = fitScales(models, labels, problemType);
      const tried = (others: number[]) => meanLoss(models, labels, problemType, others);
      ok(scales.every((scale) => scale >= 0));
      ok(Math.abs(tried(scales) - loss) < 1e-5 * Math.max(1, loss));
      for (const [m, scale] of scales.entries()) {
        for (const other of [scale + 0.05, scale - 0.05]) {
          if (other >= 0) ok(tried(scales.with(m, other)) >= loss - 0.02 * Math.max(1, loss));
        }
      }
    });
    fc.assert(property, { numRuns: 50 });
  });
}

Deno.test("fitScales() gives a model of guesses next to nothing", () => {
  const labels = Array.from({ length: 60 }, (_, i) => [+(i % 2 === 0), +(i % 2 === 1)]);
  const good = labels.map(([a, b], i) => i % 5 === 0 ? [b!, a!] : [a!, b!]);
  const guesses = labels.map((_, i) => [+(i % 4 < 2), +(i % 4 >= 2)]);
  const { scales: [first, second] } = fitScales(
    [good, guesses],
    labels,
    "single_label_classification",
  );
  ok(first! > 1 && second! < 0.1, `${first}, ${second}`);
});

Deno.test("fitScales() leaves out a model that is upside down", () => {
  const labels = [[1, 0], [0, 1], [1, 0], [0, 1]];
  const good = [[1, 0], [0, 1], [0.2, 0.1], [0.5, 0.4]];
  const wrong = labels.map(([a, b]) => [b!, a!]);
  deepStrictEqual(fitScales([good, wrong], labels, "single_label_classification").scales[1], 0);
});
