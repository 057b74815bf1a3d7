import { deepStrictEqual } from "node:assert";
import { labelsByText, leakageLine, leakageOf } from "./leakage.ts";

const rows = (...pairs: [string, string][]) => pairs.map(([text, label]) => ({ text, label }));
const train = rows(["a", "x"], ["a", "y"], ["b", "x"], ["c", "x"]);

Deno.test("leakageOf() counts rows, and those whose label the text has in training", () => {
  const test = rows(["a", "y"], ["a", "y"], ["b", "y"], ["B", "x"], ["d", "x"]);
  deepStrictEqual(leakageOf(labelsByText(train), test), { rows: 5, seen: 3, same_label: 2 });
});

for (
  const [what, validation, test, line] of [
    [
      "both files",
      rows(["a", "x"], ["d", "x"]),
      rows(["b", "x"], ["d", "x"], ["e", "x"]),
      "Seen in training: 1 of 3 test texts (33.3 %), 1 of 2 validation texts (50.0 %).",
    ],
    [
      "no test file",
      rows(["a", "x"]),
      [],
      "Seen in training: 1 of 1 validation texts (100.0 %).",
    ],
    [
      "no leakage",
      rows(["d", "x"]),
      rows(["e", "x"]),
      "No test or validation text was seen in training.",
    ],
  ] as const
) {
  Deno.test(`leakageLine() tells of ${what}`, () => {
    deepStrictEqual(leakageLine({ train, validation, test }), line);
  });
}
