import { deepStrictEqual } from "node:assert";
import { join } from "node:path";
import type { Problem } from "../data/labels.ts";
import type { PredictionRow } from "../training/evaluate_file.ts";
import { EvaluationRows, matchingRows, type RowFilter, writeRows } from "./evaluation_rows.ts";

/** The rows that match, after they were written to a file and read again. */
async function found(
  problem: Problem,
  rows: readonly Omit<PredictionRow, "text">[],
  filter: RowFilter,
  scores?: number[][],
) {
  const dir = await Deno.makeTempDir();
  try {
    const file = join(dir, "rows.jsonl");
    const named = rows.map((row, i) => ({ ...row, text: `text ${i}` }));
    await writeRows(file, named, undefined, scores);
    const read = await new EvaluationRows().read(file, problem.problemType);
    return matchingRows(read!, filter, problem);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const SEVERAL: Problem = {
  problemType: "multi_label_classification",
  labels: ["food", "music", "travel"],
};
const SEVERAL_ROWS = [
  { label: "food|music", predicted: "music", score: 0.4 },
  { label: "", predicted: "food", score: 0.3 },
  { label: "music", predicted: "music", score: 0.9 },
  { label: "travel", predicted: "", score: 0.6 },
];
const SCORES = [[0.2, 0.7, 0.1], [0.8, 0.1, 0.1], [0.1, 0.96, 0.1], [0.1, 0.2, 0.4]];

Deno.test("matchingRows() finds a class among several that a text has or got", async () => {
  const places = async (filter: RowFilter) =>
    (await found(SEVERAL, SEVERAL_ROWS, filter, SCORES)).map(({ index }) => index);
  deepStrictEqual(await places({ label: "music" }), [0, 2]);
  deepStrictEqual(await places({ predicted: "food" }), [1]);
  deepStrictEqual(await places({ right: true }), [2]);
  deepStrictEqual(await places({ class: "food" }), [0, 1]);
  deepStrictEqual(await places({ class: "food", label: "food", right: false }), [0]);
  deepStrictEqual(await places({ class: "food", predicted: "food", right: false }), [1]);
  deepStrictEqual(await places({ class: "music", right: true }), [0, 2]);
});

Deno.test("matchingRows() gives the score of the class that is looked at", async () => {
  const rows = await found(SEVERAL, SEVERAL_ROWS, { class: "music" }, SCORES);
  deepStrictEqual(rows.map(({ score, right }) => [score, right]), [[0.7, true], [0.96, true]]);
  // An older server did not keep the scores of the classes.
  const older = await found(SEVERAL, SEVERAL_ROWS, { class: "music" });
  deepStrictEqual(older.map(({ score }) => score), [0.4, 0.9]);
});

Deno.test("matchingRows() finds numbers by the range of their labels, and tells errors", async () => {
  const rows = [["1", "1.5"], ["2", "1"], ["2.5", "2.5"], ["4", "7"]]
    .map(([label, predicted]) => ({ label: label!, predicted: predicted!, score: undefined }));
  const problem: Problem = { problemType: "regression", labels: ["LABEL_0"] };
  const errors = async (filter: RowFilter) =>
    (await found(problem, rows, filter)).map(({ error }) => error);
  deepStrictEqual(await errors({}), [0.5, -1, 0, 3]);
  deepStrictEqual(await errors({ min_label: 2, max_label: 4 }), [-1, 0]);
  deepStrictEqual(await errors({ min_label: 2.5 }), [0, 3]);
});

Deno.test("matchingRows() takes the names of single classes whole", async () => {
  const problem: Problem = { problemType: "single_label_classification", labels: ["a|b", "a"] };
  const rows = [{ label: "a|b", predicted: "a", score: 0.5 }];
  deepStrictEqual((await found(problem, rows, { label: "a" })).length, 0);
  deepStrictEqual((await found(problem, rows, { label: "a|b", right: false }))[0]!.error, null);
});
