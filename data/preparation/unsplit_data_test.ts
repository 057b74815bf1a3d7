import { deepStrictEqual, rejects } from "node:assert";
import { join } from "node:path";
import { readDataset, writeDataset } from "../dataset.ts";
import { leakageLine } from "./leakage.ts";
import { findUnsplitData, splitForRun } from "./unsplit_data.ts";

/** Runs a test in a folder with these files, and folders where a name ends with a slash. */
async function withFiles(
  files: Record<string, string>,
  test: (dir: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    for (const [name, content] of Object.entries(files)) {
      if (name.endsWith("/")) await Deno.mkdir(join(dir, name));
      else await Deno.writeTextFile(join(dir, name), content);
    }
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Rows of two classes under the given columns. */
function table(columns: string, labels = ["a", "b"]): string {
  const rows = Array.from({ length: 40 }, (_, i) => `text ${i},${labels[i % labels.length]}`);
  return [columns, ...rows].join("\n");
}

for (
  const [names, found] of [
    [["tickets.csv", "notes.txt"], "tickets.csv"],
    [["tickets.jsonl"], "tickets.jsonl"],
    [["tickets.ndjson"], "tickets.ndjson"],
    [["tickets.TAB", "labels.json"], "tickets.TAB"],
    [["tickets.json"], "tickets.json"],
    [["train.ndjson", "test.json"], "train.ndjson"],
    [["train.tab", "validation.tab"], undefined],
    [["train.json", "val.json"], undefined],
    [["train.csv"], "train.csv"],
    [["train.csv", "test.csv"], "train.csv"],
    [["Train.csv", "Test.CSV"], "Train.csv"],
    [["Train.csv", "Validation.csv"], undefined],
    [["train_simple.csv", "other.csv"], "train_simple.csv"],
    [["train.csv", "validation.csv"], undefined],
    [["train.csv", "val.csv", "test.csv"], undefined],
    [["train_simple.csv", "val_simple.csv"], undefined],
  ] as const
) {
  Deno.test(`findUnsplitData() finds ${found ?? "nothing"} among ${names.join(", ")}`, async () => {
    const files = Object.fromEntries(names.map((name) => [name, "text,label\na,b\n"]));
    await withFiles(files, async (dir) => {
      const file = (await findUnsplitData(dir))?.file;
      deepStrictEqual(file, found === undefined ? undefined : join(dir, found));
    });
  });
}

Deno.test("findUnsplitData() takes a file for a table, and refuses what is not there", async () => {
  await withFiles({ "tickets.csv": "" }, async (dir) => {
    const file = join(dir, "tickets.csv");
    deepStrictEqual(await findUnsplitData(file), { file });
    await rejects(findUnsplitData(join(dir, "none")), {
      name: "UserError",
      message: `Cannot read '${join(dir, "none")}': no such file or folder`,
    });
  });
});

for (
  const [names, holds, named] of [
    [["b.csv", "a.csv", "data/"], "'a.csv', 'b.csv', 'data/'", "a.csv"],
    [["notes.txt", "data/"], "'notes.txt', 'data/'", "data"],
    [["train-00000-of-00001.parquet"], "'train-00000-of-00001.parquet'", undefined],
    [
      ["1", "2", "3", "4", "5", "6", "7", "8"],
      "'1', '2', '3', '4', '5', '6' and 2 more",
      undefined,
    ],
    [[], "nothing", undefined],
  ] as const
) {
  Deno.test(`findUnsplitData() says that a folder holds ${holds}`, async () => {
    await withFiles(Object.fromEntries(names.map((name) => [name, ""])), async (dir) => {
      await rejects(findUnsplitData(dir), {
        name: "UserError",
        message: `Cannot tell which data of '${dir}' to train on: expected train.csv, with or ` +
          `without validation.csv and test.csv, or one table, found ${holds}. ` +
          (named === undefined
            ? "Tables end in .csv, .tsv, .tab, .jsonl, .ndjson, .json"
            : `Name one: --data ${join(dir, named)}`),
      });
    });
  });
}

Deno.test("splitForRun() splits a table, and repeats itself", async () => {
  await withFiles({ "tickets.csv": table("Review,Topic") }, async (dir) => {
    const notes: string[] = [];
    const split = async (name: string) => {
      const out = join(dir, name);
      const onNote = (note: string) => notes.push(note);
      const split = await splitForRun({ file: join(dir, "tickets.csv") }, out, {
        settings: {},
        rowsFile: join(dir, "rows"),
        onNote,
      });
      await writeDataset(out, split);
      const { train, validation, test } = await readDataset(out);
      return { train, validation, test };
    };
    const { train, validation, test } = await split("one");
    deepStrictEqual([train.length, validation.length, test.length], [26, 4, 10]);
    deepStrictEqual(notes, [
      "Texts are in the column 'Review', labels in 'Topic'",
      "Split 'tickets.csv' by text, with seed 42: 26 rows to train on, 4 to validate, 10 to test",
    ]);
    deepStrictEqual(await split("two"), { train, validation, test });
  });
});

Deno.test("splitForRun() tells that a table is split by text, which spares the comparison", async () => {
  const repeated = Array.from({ length: 60 }, (_, i) => `the text ${i % 20},${"ab"[i % 2]}\n`);
  const files = {
    "t.csv": ["text,label\n", ...repeated].join(""),
    "test.csv": "text,label\nx,a\n",
  };
  await withFiles(files, async (dir) => {
    for (const [given, isSplitByText] of [[{}, true], [{ dir }, false]] as const) {
      const split = await splitForRun({ file: join(dir, "t.csv"), ...given }, join(dir, "out"), {
        settings: {},
        rowsFile: join(dir, "rows"),
      });
      deepStrictEqual(split.isSplitByText, isSplitByText);
      deepStrictEqual(leakageLine(split), leakageLine({ ...split, isSplitByText: false }));
    }
  });
});

Deno.test("splitForRun() keeps a test file that has labels, in the spelling of the others", async () => {
  const files = { "train.csv": table("text,label"), "test.csv": "text,label\nnew,A\nother,b\n" };
  await withFiles(files, async (dir) => {
    const out = join(dir, "out");
    const unsplit = (await findUnsplitData(dir))!;
    const split = await splitForRun(unsplit, out, {
      settings: { normalizeLabels: true },
      rowsFile: join(dir, "rows"),
    });
    await writeDataset(out, split);
    const { train, validation, test } = await readDataset(out);
    deepStrictEqual([train.length, validation.length], [36, 4]);
    deepStrictEqual(test, [{ text: "new", label: "a" }, { text: "other", label: "b" }]);
  });
});

Deno.test("splitForRun() splits test rows off where the test file has no labels", async () => {
  const files = { "train.csv": table("text,label"), "test.csv": "id,text\n1,new\n" };
  await withFiles(files, async (dir) => {
    const notes: string[] = [];
    const split = await splitForRun((await findUnsplitData(dir))!, join(dir, "out"), {
      settings: {},
      rowsFile: join(dir, "rows"),
      onNote: (note) => notes.push(note),
    });
    deepStrictEqual(split.test.length, 10);
    deepStrictEqual(notes[0], "'test.csv' has no labels, so that nothing is measured on it");
  });
});

for (
  const [problemType, labels] of [
    ["regression", ["1", "2.5", "-3", "4e2", "5"]],
    ["multi_label_classification", ["a", "a|b", "", "b|c", "c|rare"]],
  ] as const
) {
  Deno.test(`splitForRun() splits a table for ${problemType}`, async () => {
    await withFiles({ "t.csv": table("text,label", [...labels]) }, async (dir) => {
      const out = join(dir, "out");
      const split = await splitForRun({ file: join(dir, "t.csv") }, out, {
        settings: { problemType },
        rowsFile: join(dir, "rows"),
      });
      await writeDataset(out, split);
      const read = await readDataset(out, problemType);
      const { isSplitByText, ...rows } = split;
      deepStrictEqual(isSplitByText, true);
      deepStrictEqual({ ...rows, train: [...rows.train] }, read);
      const { train, validation, test } = read;
      deepStrictEqual([train.length, validation.length, test.length], [26, 4, 10]);
    });
  });
}
