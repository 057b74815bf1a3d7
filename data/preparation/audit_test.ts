import { deepStrictEqual, ok, rejects } from "node:assert";
import { join } from "node:path";
import { audit, type AuditOptions, type AuditReport } from "./audit.ts";
import { exists } from "../../lib/files.ts";
import type { ProblemType } from "../labels.ts";

const options: AuditOptions = {
  wordPieceCounter: () => (text) => text.length,
  unknownShare: (texts) => 1 / texts.length,
  maxLength: 14,
};

/** Audits a data set with these files. */
async function auditFiles(
  files: Record<string, string>,
  problemType?: ProblemType,
): Promise<AuditReport> {
  const dir = await Deno.makeTempDir();
  try {
    for (const [name, content] of Object.entries(files)) {
      await Deno.writeTextFile(join(dir, name), content);
    }
    return await audit(dir, problemType === undefined ? options : { ...options, problemType });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const files = {
  "train_simple.csv":
    "text,label\nred apple pie,0\nred apple pie,1\nRed apple pie!,0\nblue sky,1\n12:30,1\n",
  "val_simple.csv": "text,label\nred apple  pie,0\ngreen hill,1\n",
  "test_simple.csv":
    "text,label\nblue sky,1\nred apple pie,0\nblue sky,0\ngreen hill,2\nnew one,1\n",
};

Deno.test("audit() counts rows, repeats, conflicts and rows without letters", async () => {
  const { files: { train, test }, conflict_examples } = await auditFiles(files);
  const { words, word_pieces, ...counts } = train!;
  deepStrictEqual(counts, {
    file: "train_simple.csv",
    rows: 5,
    distinct_texts: 4,
    duplicate_rows: 1,
    near_duplicate_texts: 2,
    conflicting_texts: 1,
    non_text_rows: 1,
    truncated_rows: 3,
    unknown_share: 0.2,
    classes: { 0: 2, 1: 3, 2: 0 },
  });
  deepStrictEqual(words, {
    mean: 2.4,
    p50: 3,
    p90: 3,
    p95: 3,
    p99: 3,
    max: 3,
    histogram: { width: 1, counts: [0, 1, 1, 3] },
  });
  deepStrictEqual([word_pieces.p50, word_pieces.max], [13, 14]);
  deepStrictEqual([test!.duplicate_rows, test!.conflicting_texts], [1, 1]);
  deepStrictEqual(conflict_examples, [{ text: "red apple pie", labels: ["0", "1"] }]);
});

Deno.test("audit() finds what of one file stands in another", async () => {
  const { overlaps, labels_not_in_training } = await auditFiles(files);
  deepStrictEqual(overlaps, [
    { of: "test", in: "train", rows: 5, seen: 3, same_label: 2, near: 0 },
    { of: "validation", in: "train", rows: 2, seen: 0, same_label: 0, near: 1 },
    { of: "test", in: "validation", rows: 5, seen: 1, same_label: 0, near: 1 },
  ]);
  deepStrictEqual(labels_not_in_training, ["2"]);
});

Deno.test("audit() measures the baselines on all and on unseen rows", async () => {
  const { baselines: { measured_on, results } } = await auditFiles(files);
  deepStrictEqual(measured_on, "test");
  deepStrictEqual(results.map(({ all, unseen }) => [all.n, unseen.n]), [[5, 2], [5, 2]]);
  deepStrictEqual([results[0]!.all.accuracy, results[0]!.unseen.accuracy], [0.4, 0.5]);
  ok(results[1]!.all.accuracy! >= 0.4);
});

Deno.test("audit() leaves out the linear model where classes and rows are too many", async () => {
  const rows = Array.from({ length: 3200 }, (_, i) => `text ${i},${i}\n`).join("");
  const { baselines: { results, left_out } } = await auditFiles({
    "train_simple.csv": `text,label\n${rows}`,
    "val_simple.csv": "text,label\na text,1\n",
  });
  deepStrictEqual(results.map(({ name }) => name), ["always the commonest class"]);
  deepStrictEqual(left_out, [
    "TF-IDF + linear SVM: 3,200 classes and 3,200 training rows are too many for it",
  ]);
});

Deno.test("audit() does without a test file, and reads the names of labels", async () => {
  const { "test_simple.csv": _, ...two } = files;
  const report = await auditFiles({ ...two, "labels.json": '{"0": "Food", "1": "Nature"}' });
  deepStrictEqual(report.label_names, ["Food", "Nature"]);
  deepStrictEqual(report.baselines.measured_on, "validation");
  deepStrictEqual(Object.keys(report.files), ["train", "validation"]);
  deepStrictEqual(report.overlaps.length, 1);
});

Deno.test("audit() counts each of several labels, and knows when two are the same", async () => {
  const { files, labels, conflict_examples, baselines } = await auditFiles({
    "train_simple.csv": "text,label\none,a|b\none,b | a\ntwo,\ntwo,a\n",
    "val_simple.csv": "text,label\nthree,b\n",
  }, "multi_label_classification");
  deepStrictEqual([labels, files.train!.classes], [["a", "b"], { a: 3, b: 2 }]);
  deepStrictEqual(conflict_examples, [{ text: "two", labels: ["", "a"] }]);
  deepStrictEqual(baselines.results, []);
});

Deno.test("audit() takes numbers for numbers, not for classes", async () => {
  const { files, labels, conflict_examples } = await auditFiles({
    "train_simple.csv": "text,label\none,1\none,1.0\ntwo,2.5\n",
    "val_simple.csv": "text,label\nthree,3\n",
  }, "regression");
  deepStrictEqual([labels, files.train!.classes, conflict_examples], [[], {}, []]);
});

Deno.test("audit() refuses a folder without a training file", async () => {
  await rejects(auditFiles({}), /expected train\.csv, with or without .*, found nothing/);
});

const published = Deno.env.get("GRAFT_YOUTUBE_DIR");

Deno.test({
  name: "audit() reports the leakage of the published files",
  ignore: published === undefined,
  fn: async () => {
    const { overlaps, files, baselines } = await audit(published!, options);
    const seen = overlaps.filter((overlap) => overlap.in === "train")
      .map(({ of, seen, rows }) => [of, seen, rows]);
    deepStrictEqual(seen, [["test", 5465, 6543], ["validation", 1382, 1636]]);
    deepStrictEqual([files.train!.distinct_texts, files.train!.conflicting_texts], [4868, 10]);
    // scikit-learn's figures: 0.9427, on unseen titles 0.6623.
    const { all, unseen } = baselines.results[1]!;
    ok(Math.abs(all.accuracy! - 0.9427) < 0.002, `accuracy ${all.accuracy}`);
    ok(Math.abs(all.f1_macro! - 0.9471) < 0.002, `macro-F1 ${all.f1_macro}`);
    ok(Math.abs(unseen.accuracy! - 0.6623) < 0.004, `unseen ${unseen.accuracy}`);
  },
});

Deno.test({
  name: "audit() finds no leakage in the grouped files, where they lie beside",
  ignore: published === undefined || !await exists(`${published}-grouped`),
  fn: async () => {
    const { overlaps } = await audit(`${published}-grouped`, options);
    deepStrictEqual(overlaps.map(({ seen }) => seen), [0, 0, 0]);
  },
});
