import { deepStrictEqual, match } from "node:assert";
import fc from "fast-check";
import {
  canonicalLabel,
  classNames,
  joinClassNames,
  labelFault,
  labelRow,
  type ProblemType,
} from "./labels.ts";

const MULTI = "multi_label_classification";

/** Names as they can stand in a label of several. */
const names = fc.uniqueArray(
  fc.string({ unit: "grapheme" })
    .map((name) => name.replaceAll("|", "").trim())
    .filter((name) => name !== ""),
  { maxLength: 6 },
);

Deno.test("classNames() gives back what joinClassNames() joined", () => {
  fc.assert(fc.property(names, (names) => {
    const label = joinClassNames(names);
    deepStrictEqual(labelFault(label, MULTI), undefined);
    deepStrictEqual(classNames(label, MULTI), names);
    deepStrictEqual(classNames(names.join(" | "), MULTI), names);
  }));
});

Deno.test("classNames() takes a label of one class whole", () => {
  fc.assert(fc.property(fc.string({ minLength: 1 }), (label) => {
    deepStrictEqual(labelFault(label, "single_label_classification"), undefined);
    deepStrictEqual(classNames(label, "single_label_classification"), [label]);
  }));
});

Deno.test("labelRow() marks the classes of a label and no others", () => {
  fc.assert(fc.property(names, names, (named, others) => {
    const labels = [...new Set([...others, ...named])].sort();
    const row = labelRow(joinClassNames(named), { problemType: MULTI, labels });
    deepStrictEqual(labels.filter((_, i) => row[i] === 1), named.toSorted());
    deepStrictEqual(row.filter((value) => value === 0).length, labels.length - named.length);
  }));
});

Deno.test("labelRow() gives the number of a regression", () => {
  fc.assert(fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
    const label = String(value);
    deepStrictEqual(labelFault(label, "regression"), undefined);
    const problem = { problemType: "regression" as const, labels: ["LABEL_0"] };
    deepStrictEqual(labelRow(label, problem), [Number(label)]);
  }));
});

for (
  const [problemType, label, rule] of [
    [MULTI, "a||b", /^the label 'a\|\|b' has an empty part$/],
    [MULTI, "|", /has an empty part$/],
    [MULTI, "a| ", /has an empty part$/],
    [MULTI, "a|b|a", /^the label 'a\|b\|a' names 'a' twice$/],
    [MULTI, "a | a", /names 'a' twice$/],
    ["regression", "", /^the label is empty$/],
    ["regression", "high", /^expected a number as the label, got 'high'$/],
    ["regression", "1,5", /^expected a number as the label with a point, as 1.5, got '1,5'$/],
    ["regression", "NaN", /got 'NaN'$/],
    ["regression", "-Infinity", /got '-Infinity'$/],
    ["regression", "1e39", /got '1e39'$/],
    ["single_label_classification", "", /^the label is empty$/],
  ] as [ProblemType, string, RegExp][]
) {
  Deno.test(`labelFault() refuses '${label}' in ${problemType}`, () => {
    match(labelFault(label, problemType)!, rule);
  });
}

Deno.test("canonicalLabel() is the same for labels that mean the same", () => {
  deepStrictEqual(canonicalLabel("b|a", MULTI), canonicalLabel("a | b", MULTI));
  deepStrictEqual(canonicalLabel("1", "regression"), canonicalLabel("1.0", "regression"));
  deepStrictEqual(canonicalLabel("b|a", "single_label_classification"), "b|a");
});
