import { deepStrictEqual } from "node:assert";
import fc from "fast-check";
import {
  foldName,
  isNullWord,
  LabelNormaliser,
  labelNotes,
  listedNames,
  normalisedLabelFault,
  wordForNoLabels,
} from "./label_spelling.ts";

const SINGLE = "single_label_classification";
const MULTI = "multi_label_classification";

for (
  const names of [
    ["Food", "food", " FOOD ", "fo\u200bod", "\ufefffood", "ＦＯＯＤ"],
    ["customer service", "Customer  Service", "customer\u00a0service", "customer\tservice"],
    ["caf\u00e9", "cafe\u0301", "CAF\u00c9"],
    ["1", "1.0", "1.", "01", "+1", "1,0", " 1 ", "１"],
    ["1.5", "1.50", "1,5"],
    ["-1", "-1.0"],
    ["0", "-0", "0.0"],
  ]
) {
  Deno.test(`foldName() gives ${names.join(", ")} one form`, () => {
    deepStrictEqual([...new Set(names.map(foldName))].length, 1);
  });
}

Deno.test("foldName() keeps apart what differs", () => {
  const names = ["1", "10", "-1", "1.5", "15", "v1", "a b", "ab", "a_b", "a-b", "c", "c++", "C#"];
  deepStrictEqual(new Set(names.map(foldName)).size, names.length);
});

Deno.test("foldName() folds its own result no further", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (name) => {
    deepStrictEqual(foldName(foldName(name)), foldName(name));
  }));
});

Deno.test("isNullWord() knows the words of other programs", () => {
  const words = ["NaN", "nan", "None", "null", "NULL", "-", " N/A ", "<NA>", "?"];
  deepStrictEqual(words.filter((word) => !isNullWord(word)), []);
  deepStrictEqual(["nano", "0", "a-", "none of these"].filter(isNullWord), []);
});

for (
  const [label, names] of [
    ["['food', 'sport']", ["food", "sport"]],
    ['["a", "b, c"]', ["a", "b, c"]],
    ["['it\\'s', \"b\"]", ["it's", "b"]],
    ["[0, 1]", ["0", "1"]],
    ["[0,1]", ["0", "1"]],
    ["[a b, c]", ["a b", "c"]],
    ["['a' 'b']", ["a", "b"]],
    ["('a', 'b')", ["a", "b"]],
    ["{'a'}", ["a"]],
    ["{a,b c}", ["a", "b c"]],
    ["[]", []],
    ["[ ]", []],
    ["['a',]", ["a"]],
  ] as const
) {
  Deno.test(`listedNames() takes ${label} apart`, () => {
    deepStrictEqual(listedNames(label), names);
  });
}

Deno.test("listedNames() takes names for no lists", () => {
  for (const label of ["food", "a,b", "(other)", "{x}", "[draft", "draft]", "food [old]"]) {
    deepStrictEqual(listedNames(label), undefined);
  }
});

Deno.test("labelNotes() says nothing of sound labels", () => {
  const counts = new Map([["food", 3], ["sport", 2], ["Washington, DC", 1], ["a|b", 1]]);
  deepStrictEqual(labelNotes(counts, SINGLE), []);
  deepStrictEqual(labelNotes(counts, MULTI), []);
  deepStrictEqual(labelNotes(new Map([["1", 3], ["1.0", 2]]), "regression"), []);
});

Deno.test("labelNotes() points out what looks wrong, with the rows", () => {
  const counts = new Map([
    ["Food", 3],
    ["food", 1200],
    ["NaN", 5],
    ["-", 1],
    ["['food']", 7],
    ["a", 2],
    ["b", 2],
    ["a,b", 4],
  ]);
  deepStrictEqual(labelNotes(counts, SINGLE), [
    "Labels that differ only in case, spaces or form are classes of their own: " +
    '"Food" (3) / "food" (1,200). --normalize-labels merges them',
    'Words that mean no label are classes: "NaN" (5), "-" (1). --normalize-labels merges them',
    "11 rows have a list where the name of a class is wanted: " +
    `"['food']" (7), "a,b" (4). --problem-type multi_label_classification --normalize-labels ` +
    "takes lists apart",
  ]);
});

Deno.test("labelNotes() tells of -1 beside classes from 0, and not where it may be one of three", () => {
  const natural = new Map([["0", 5], ["1", 4], ["2", 3], ["-1", 785]]);
  deepStrictEqual(labelNotes(natural, SINGLE), [
    "The label '-1' of 785 rows is a class like any other; where it means that there is none, as " +
    "in GLUE, SNLI and Python's datasets, take these rows out",
  ]);
  deepStrictEqual(labelNotes(new Map([["-1", 2], ["0", 1], ["1", 3]]), SINGLE), []);
  deepStrictEqual(labelNotes(new Map([["-1", 2], ["2.5", 1]]), "regression"), []);
});

Deno.test("wordForNoLabels() finds the word that all labels are", () => {
  deepStrictEqual(
    [["-1", "-1"], ["", ""], ["?"], ["0", "-1"], ["a", "a"], []].map(wordForNoLabels),
    ["-1", "", "?", undefined, undefined, undefined],
  );
});

Deno.test("LabelNormaliser gives each class its commonest spelling", () => {
  const counts = new Map([
    ["Food", 3],
    ["food", 9],
    ["FOOD ", 1],
    ["['food']", 2],
    ["1.0", 2],
    ["1", 1],
    ["None", 2],
    ["nan", 1],
  ]);
  const normaliser = new LabelNormaliser(counts, SINGLE);
  deepStrictEqual(
    [...counts.keys()].map((label) => normaliser.apply(label)),
    ["food", "food", "food", "food", "1.0", "1.0", "None", "None"],
  );
  deepStrictEqual(normaliser.apply("FoOd"), "food");
  deepStrictEqual(normaliser.apply("other"), "other");
});

Deno.test("LabelNormaliser takes lists apart where a text may have several classes", () => {
  const counts = new Map([["['Food', 'sport']", 1], ["food", 5], ["sport,food", 2], ["sport", 1]]);
  const normaliser = new LabelNormaliser(counts, MULTI);
  deepStrictEqual(
    ["['Food', 'sport']", "sport,food", "[]", "null", "Sport|food", "sport|SPORT"]
      .map((label) => normaliser.apply(label)),
    ["food|sport", "sport|food", "", "", "sport|food", "sport"],
  );
});

Deno.test("normalisedLabelFault() refuses lists of several where one class is wanted", () => {
  deepStrictEqual(
    normalisedLabelFault("['a', 'b']", SINGLE),
    "the label ['a', 'b'] names 2 classes; expected one",
  );
  deepStrictEqual(normalisedLabelFault("['a']", SINGLE), undefined);
  deepStrictEqual(normalisedLabelFault("['a', 'b']", MULTI), undefined);
  deepStrictEqual(
    normalisedLabelFault("['a|b', 'c']", MULTI),
    "'a|b' in the label holds a |, which joins names",
  );
  deepStrictEqual(normalisedLabelFault("", SINGLE), "the label is empty");
});
