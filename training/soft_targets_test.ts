import { deepStrictEqual, ok } from "node:assert";
import fc from "fast-check";
import type { Problem } from "../data/labels.ts";
import { softTargets } from "./soft_targets.ts";

const problem: Problem = { problemType: "single_label_classification", labels: ["sea", "land"] };

/** Texts whose words tell the class. */
const examples = Array.from(
  { length: 40 },
  (_, i) =>
    i % 2 === 0
      ? { text: `ships and waves ${i}`, label: "sea" }
      : { text: `hills and trees ${i}`, label: "land" },
);

Deno.test("softTargets() gives rows of probabilities, which the label has its share of", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (share) => {
      for (const [i, row] of softTargets(examples, problem, share).entries()) {
        ok(Math.abs(row[0]! + row[1]! - 1) < 1e-6);
        ok(row[i % 2]! >= 1 - share - 1e-6);
      }
    }),
    { numRuns: 10 },
  );
  deepStrictEqual(softTargets(examples, problem, 0)[0], [1, 0]);
});

Deno.test("softTargets() asks models that have not seen the text", () => {
  const wrong = { text: "ships and waves", label: "land" };
  const [row] = softTargets([wrong, ...examples], problem, 1);
  ok(row![0]! > 0.8, `${row}`);
});

Deno.test("softTargets() gives the same for the same texts", () => {
  deepStrictEqual(softTargets(examples, problem, 0.5), softTargets(examples, problem, 0.5));
});
