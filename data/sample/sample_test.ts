/**
 * Tests of the bundled sample: what the README says about the files holds.
 *
 * @module
 */
import assert from "node:assert/strict";
import { parse } from "csv-parse/sync";
import { makeFiles, normalize, type Row } from "./generate.ts";

const SIDES = { train: 1559, val: 241, test: 600 };
const LABELS = ["Comedy", "Entertainment", "Howto & Style", "Music", "Other", "People & Blogs"];

function readText(side: string): string {
  return Deno.readTextFileSync(new URL(`${side}_simple.csv`, import.meta.url));
}

function readRows(side: string): Row[] {
  return parse<Row>(readText(side), { columns: true, record_delimiter: "\n" });
}

function shareOf(label: string, rows: Row[]): number {
  return rows.filter((row) => row.label === label).length / rows.length;
}

Deno.test("the sample's files are what the generator makes, each time", () => {
  const files = makeFiles();
  assert.deepEqual(Object.keys(files), ["train_simple.csv", "val_simple.csv", "test_simple.csv"]);
  for (const side of Object.keys(SIDES)) {
    assert.ok(files[`${side}_simple.csv`] === readText(side), `${side}_simple.csv differs`);
  }
  assert.deepEqual(makeFiles(), files);
});

Deno.test("the sample's files have the documented rows and columns", () => {
  for (const [side, count] of Object.entries(SIDES)) {
    const rows = readRows(side);
    assert.equal(rows.length, count);
    for (const row of rows) {
      assert.deepEqual(Object.keys(row), ["text", "label"]);
      assert.doesNotMatch(row.text, /[{}|\n\r]|undefined|^\s|\s$|\s\s/);
      const words = row.text.split(" ").length;
      assert.ok(words >= 3 && words <= 12, row.text);
    }
  }
});

Deno.test("no title of the sample stands twice, on one side or on two", () => {
  const titles = Object.keys(SIDES).flatMap(readRows).map((row) => normalize(row.text));
  assert.equal(new Set(titles).size, titles.length);
});

Deno.test("every class of the sample has about the same share on each side", () => {
  const all = Object.keys(SIDES).flatMap(readRows);
  for (const side of Object.keys(SIDES)) {
    const rows = readRows(side);
    assert.deepEqual([...new Set(rows.map((row) => row.label))].sort(), LABELS);
    for (const label of LABELS) {
      assert.ok(Math.abs(shareOf(label, rows) - shareOf(label, all)) < 0.01, `${label} in ${side}`);
    }
  }
});

Deno.test("no class of the sample is rare and none holds most of the titles", () => {
  const all = Object.keys(SIDES).flatMap(readRows);
  for (const label of LABELS) {
    const share = shareOf(label, all);
    assert.ok(share > 0.1 && share < 0.25, `${label}: ${share}`);
  }
});
