import { deepStrictEqual } from "node:assert";
import fc from "fast-check";
import {
  foldName,
  isNullWord,
  LabelNormaliser,
  labelNotes,
  listedNames,
  normalisedLabelFault,
  SkippedLabels,
  wordForNoLabels,
} from "./label_spelling.ts";

const SINGLE = "single_label_classification";
const MULTI = "multi_label_classification";

for (
  const names of [
    ["Food", "food", " FOOD ", "fo\u200bod", "\ufefffood", "ＦＯＯＤ"],
    ["customer service", "Customer  Service", "customer\u00a0service", "customer\tservice"],
    ["caf\u00e9", "cafe\u0301", "CAF\u00c9"],
    ["1", "1.0", "1.", "01", "+1", "1,0", " 1 ", "１", "1e0", "1.00E+00", "10e-1", "0.1e1"],
    ["1.5", "1.50", "1,5"],
    ["0.5", ".5", "0,50", "5e-1", "0.05E1"],
    ["0.05", "5e-2", ".05"],
    ["1200", "1.2e3", "12e2"],
    ["sci-fi", "sci\u2011fi", "sci–fi"],
    ["children's", "children’s"],
    ["-1", "\u22121"],
    ["straße", "STRASSE", "Strasse", "STRAẞE"],
    ["ΟΔΟΣ", "οδος", "οδοσ"],
    ["-1", "-1.0"],
    ["0", "-0", "0.0"],
  ]
) {
  Deno.test(`foldName() gives ${names.join(", ")} one form`, () => {
    deepStrictEqual([...new Set(names.map(foldName))].length, 1);
  });
}

Deno.test("foldName() keeps apart what differs", () => {
  const numbers = ["1", "10", "-1", "1.5", "15", "1,000", "1000", "1e", "e1", "", ".", "+"];
  const names = [...numbers, "v1", "a b", "ab", "a_b", "a-b", "c", "c++", "C#", "kız", "kiz"];
  deepStrictEqual(new Set(names.map(foldName)).size, names.length);
});

Deno.test("foldName() folds its own result no further", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (name) => {
    deepStrictEqual(foldName(foldName(name)), foldName(name));
  }));
});

Deno.test("isNullWord() knows the words of other programs", () => {
  const words = [
    "NaN",
    "nan",
    "None",
    "null",
    "NULL",
    "-",
    " N/A ",
    "<NA>",
    "?",
    "\\N",
    "(null)",
    "NaT",
    "#NA",
  ];
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
    ["[0 2]", ["0", "2"]],
    ["[ 0. 10.]", ["0.", "10."]],
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
    'Words that mean no label are classes: "NaN" (5), "-" (1). --normalize-labels merges them, ' +
    "--skip-labels NaN,- leaves these rows out",
    "11 rows have a list where the name of a class is wanted: " +
    `"['food']" (7), "a,b" (4). --problem-type multi_label_classification --normalize-labels ` +
    "takes lists apart",
  ]);
});

Deno.test("labelNotes() takes names between | for a list where a text has one class", () => {
  const counts = new Map([["a|b", 3], ["a", 1], ["b", 2]]);
  deepStrictEqual(labelNotes(counts, SINGLE), [
    '3 rows have a list where the name of a class is wanted: "a|b" (3). ' +
    "--problem-type multi_label_classification --normalize-labels takes lists apart",
  ]);
  deepStrictEqual(labelNotes(counts, MULTI), []);
});

Deno.test("labelNotes() names the flag that leaves out rows without a label", () => {
  deepStrictEqual(labelNotes(new Map([["a", 1], ["b", 1], ["#N/A", 2]]), SINGLE), [
    "Words that mean no label are a class: \"#N/A\" (2). --skip-labels '#N/A' leaves these rows out",
  ]);
});

Deno.test("SkippedLabels leaves out rows by their labels, and counts them", () => {
  const skipped = new SkippedLabels("-1, NaN");
  const labels = ["-1", "a", "nan", "-1.0", "-1", "1", ""];
  deepStrictEqual(labels.filter((label) => !skipped.skips(label)), ["a", "1", ""]);
  deepStrictEqual(skipped.count, 4);
  deepStrictEqual(
    skipped.note("a/b.csv"),
    `4 rows of 'b.csv' are left out by --skip-labels: "-1" (2), "nan" (1), "-1.0" (1)`,
  );
  const none = new SkippedLabels(undefined);
  deepStrictEqual([none.skips(""), none.count, none.note("b.csv")], [false, 0, undefined]);
});

Deno.test("labelNotes() tells of -1 beside classes from 0, and not where it may be one of three", () => {
  const natural = new Map([["0", 5], ["1", 4], ["2", 3], ["-1", 785]]);
  deepStrictEqual(labelNotes(natural, SINGLE), [
    "The label '-1' of 785 rows is a class like any other; where it means that there is none, as " +
    "in GLUE, SNLI and Python's datasets, --skip-labels -1 leaves these rows out",
  ]);
  deepStrictEqual(labelNotes(new Map([["-1", 1], ["neutral", 5], ["entailment", 4]]), SINGLE), [
    "The label '-1' of 1 row is a class like any other; where it means that there is none, as in " +
    "GLUE, SNLI and Python's datasets, --skip-labels -1 leaves these rows out",
  ]);
  deepStrictEqual(labelNotes(new Map([["-1", 2], ["0", 1], ["1", 3]]), SINGLE), []);
  deepStrictEqual(labelNotes(new Map([["-1", 2], ["2.5", 1]]), "regression"), []);
});

Deno.test("labelNotes() tells numbers from classes, and a comma in them from a list", () => {
  const numbers = Array.from({ length: 20 }, (_, i) => `${i},5`);
  const notes = [
    "The 20 labels are numbers, and each is a class of its own; " +
    "--problem-type regression learns them as numbers",
  ];
  for (const labels of [numbers, numbers.map((number) => number.replace(",", "."))]) {
    deepStrictEqual(labelNotes(new Map(labels.map((label) => [label, 1])), SINGLE), notes);
  }
  const whole = Array.from({ length: 30 }, (_, i) => [`${i}.0`, 1] as const);
  deepStrictEqual(labelNotes(new Map(whole), SINGLE), []);
});

Deno.test("normalisedLabelFault() takes no vector of zeros and ones for names", () => {
  const fault = "the label [0, 1, 0] is a vector of zeros and ones; expected names of classes";
  deepStrictEqual(normalisedLabelFault("[0, 1, 0]", MULTI), fault);
  deepStrictEqual(normalisedLabelFault("[0, 1]", MULTI), undefined);
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
