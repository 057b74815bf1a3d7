import { deepStrictEqual, rejects } from "node:assert";
import { basename, join } from "node:path";
import { ExampleFileWriter, type Examples, labelsOfRows } from "./example_file.ts";
import type { Example } from "./examples.ts";
import { type Dataset, digestOf, labelledTestFile, readDataset, SPLIT_FILES } from "./dataset.ts";
import type { ProblemType } from "./labels.ts";

type Split = keyof typeof SPLIT_FILES;

/** Reads a data set whose files have these labels; `undefined` stands for no file. */
async function read(
  labels: Partial<Record<Split, string[]>>,
  test: (reading: Promise<Dataset>, dir: string) => Promise<void>,
  problemType?: ProblemType,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    for (const [split, values] of Object.entries(labels)) {
      const rows = values.map((label, i) => `${split} ${i},${label}\n`);
      await Deno.writeTextFile(
        join(dir, SPLIT_FILES[split as Split]),
        ["text,label\n", ...rows].join(""),
      );
    }
    await test(readDataset(dir, problemType), dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("readDataset() reads the three files", async () => {
  await read(
    { train: ["b", "a", "b"], validation: ["a"], test: ["b", "b"] },
    async (reading, dir) => {
      deepStrictEqual(await reading, {
        dir,
        labels: ["a", "b"],
        train: [
          { text: "train 0", label: "b" },
          { text: "train 1", label: "a" },
          { text: "train 2", label: "b" },
        ],
        validation: [{ text: "validation 0", label: "a" }],
        test: [{ text: "test 0", label: "b" }, { text: "test 1", label: "b" }],
      });
    },
  );
});

for (
  const [kind, given, expected] of [
    ["numbers by value", ["10", "9", "-1", "2", "9"], ["-1", "2", "9", "10"]],
    ["names by alphabet", ["music", "b10", "b9", "food"], ["b10", "b9", "food", "music"]],
    ["numbers among names as names", ["x", "10", "9"], ["10", "9", "x"]],
  ] as const
) {
  Deno.test(`readDataset() orders ${kind}`, async () => {
    await read({ train: [...given], validation: [given[0]] }, async (reading) => {
      deepStrictEqual((await reading).labels, expected);
    });
  });
}

Deno.test("readDataset() does without a test file", async () => {
  await read({ train: ["a", "b"], validation: ["a"] }, async (reading) => {
    deepStrictEqual((await reading).test, []);
  });
});

for (
  const [kind, test] of [["-1", ["-1", "-1"]], ["nothing", ["", ""]], ["?", ["?", "?"]]] as const
) {
  Deno.test(`readDataset() takes a test file whose labels are all ${kind} for one without`, async () => {
    await read({ train: ["0", "1"], validation: ["0"], test: [...test] }, async (reading, dir) => {
      deepStrictEqual((await reading).test, []);
      const notes: string[] = [];
      await labelledTestFile(dir, undefined, { onNote: (note) => notes.push(note) });
      deepStrictEqual(notes, [
        `'test_simple.csv' has no labels (each is '${test[0]}'), so that nothing is measured on it`,
      ]);
    });
  });
}

Deno.test("readDataset() refuses a data set without a training or validation file", async () => {
  await read({ validation: ["a"], test: ["a"] }, async (reading, dir) => {
    await rejects(reading, {
      name: "UserError",
      message: `Cannot read '${join(dir, "train_simple.csv")}': no such file`,
    });
  });
  await read({ train: ["a", "b"], test: ["a"] }, async (reading, dir) => {
    await rejects(reading, {
      name: "UserError",
      message: `Cannot read '${join(dir, "val_simple.csv")}': no such file`,
    });
  });
});

Deno.test("readDataset() says once how all files are read", async () => {
  const dir = await Deno.makeTempDir();
  try {
    for (const [name, labels] of [["train", "ab"], ["val", "a"], ["test", "b"]] as const) {
      const rows = [...labels].map((label, i) => `${name} ${i};${label}\n`);
      await Deno.writeTextFile(join(dir, `${name}_simple.csv`), `title;category\n${rows.join("")}`);
    }
    const notes: string[] = [];
    await readDataset(dir, undefined, undefined, { onNote: (note) => notes.push(note) });
    deepStrictEqual(
      notes.filter((note) => note.startsWith("Texts are")),
      ["Texts are in the column 'title', labels in 'category'"],
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("readDataset() leaves rows out by their labels, and says so of each file", async () => {
  const given = { train: ["x", "y", "-1"], validation: ["x", "-1", "-1"], test: ["y", "y"] };
  await read(given, async (reading, dir) => {
    await reading;
    const notes: string[] = [];
    const options = { skipLabels: "-1", onNote: (note: string) => void notes.push(note) };
    const { labels, train, validation } = await readDataset(dir, undefined, undefined, options);
    deepStrictEqual([labels, train.length, validation.length], [["x", "y"], 2, 1]);
    deepStrictEqual(notes, [
      `1 row of 'train_simple.csv' is left out by --skip-labels: "-1" (1)`,
      `2 rows of 'val_simple.csv' are left out by --skip-labels: "-1" (2)`,
    ]);
  });
});

Deno.test("readDataset() refuses a single class", async () => {
  await read({ train: ["a", "a"], validation: ["a"] }, async (reading, dir) => {
    await rejects(reading, {
      name: "UserError",
      message: `Cannot train on '${basename(dir)}': expected at least two classes, found only 'a'`,
    });
  });
});

Deno.test("readDataset() refuses a label that the training file lacks", async () => {
  await read({ train: ["a", "b"], validation: ["a", "c"], test: ["a"] }, async (reading, dir) => {
    await rejects(reading, {
      name: "UserError",
      message: `Cannot use '${
        join(dir, "val_simple.csv")
      }': its label 'c' is not in train_simple.csv`,
    });
  });
  await read({ train: ["a", "b"], validation: ["a"], test: ["d"] }, async (reading, dir) => {
    await rejects(reading, {
      name: "UserError",
      message: `Cannot use '${
        join(dir, "test_simple.csv")
      }': its label 'd' is not in train_simple.csv`,
    });
  });
});

Deno.test("readDataset() takes labels with | whole where a text has one class", async () => {
  await read({ train: ["a|b", "a", "a|b"], validation: ["a"] }, async (reading) => {
    deepStrictEqual((await reading).labels, ["a", "a|b"]);
  });
});

Deno.test("readDataset() finds the classes of several labels in their parts", async () => {
  await read({ train: ["b|a", "", "c"], validation: ["a|c"] }, async (reading) => {
    const { labels, train } = await reading;
    deepStrictEqual(labels, ["a", "b", "c"]);
    deepStrictEqual([...labelsOfRows(train)], ["b|a", "", "c"]);
  }, "multi_label_classification");
});

Deno.test("readDataset() refuses a part that the training file lacks", async () => {
  await read({ train: ["a", "b"], validation: ["a"], test: ["a|d"] }, async (reading, dir) => {
    const file = join(dir, "test_simple.csv");
    await rejects(reading, {
      name: "UserError",
      message: `Cannot use '${file}': its label 'd' is not in train_simple.csv`,
    });
  }, "multi_label_classification");
});

Deno.test("readDataset() gives a regression one output, whatever the numbers", async () => {
  await read({ train: ["1", "2.5"], validation: ["-7"], test: ["1e3"] }, async (reading) => {
    deepStrictEqual((await reading).labels, ["LABEL_0"]);
  }, "regression");
});

for (
  const [problemType, train, found] of [
    ["multi_label_classification", ["b|a", "a|b"], "b|a"],
    ["multi_label_classification", ["", ""], ""],
    ["regression", ["1", "1.0", "1e0"], "1"],
  ] as const
) {
  Deno.test(`readDataset() refuses ${train.join(" and ")} alone in ${problemType}`, async () => {
    await read({ train: [...train], validation: [train[0]] }, async (reading, dir) => {
      await rejects(reading, {
        name: "UserError",
        message: `Cannot train on '${basename(dir)}': ` +
          `expected at least two different labels, found only '${found}'`,
      });
    }, problemType);
  });
}

Deno.test("readDataset() reads TSV and JSON Lines, and refuses to choose between two", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const write = (name: string, content: string) => Deno.writeTextFile(join(dir, name), content);
    await write("train_simple.tsv", "title\tlabel\none\ta\ntwo\tb\n");
    await write("val_simple.jsonl", '{"title": "three", "label": "a"}\n');
    const columns = { text: "title", label: "label" };
    const { train, validation } = await readDataset(dir, undefined, columns);
    deepStrictEqual([train, validation], [
      [{ text: "one", label: "a" }, { text: "two", label: "b" }],
      [{ text: "three", label: "a" }],
    ]);
    await write("train_simple.csv", "title,label\none,a\n");
    await rejects(readDataset(dir), {
      name: "UserError",
      message: `Cannot choose the train file: there are '${join(dir, "train_simple.csv")}' and '${
        join(dir, "train_simple.tsv")
      }'`,
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("digestOf() tells data sets apart by every text, label and split", async () => {
  const rows = [
    { text: "a", label: "x" },
    { text: "b", label: "y" },
    { text: "é".repeat(2 ** 16), label: "x" },
  ];
  const [one, two, three] = rows as [Example, Example, Example];
  const dataset = (train: Examples, ...validation: Example[]): Dataset => (
    { dir: "", labels: ["x", "y"], train, validation, test: [] }
  );
  const different = [
    dataset([one, two], three),
    dataset([one], two, three),
    dataset([two, one], three),
    dataset([{ text: "ax", label: "" }, two], three),
    dataset([one, two], { ...three, text: three.text + "!" }),
  ];
  deepStrictEqual(new Set(different.map(digestOf)).size, different.length);

  const dir = await Deno.makeTempDir();
  try {
    using writer = ExampleFileWriter.create(join(dir, "rows"));
    for (const row of [one, two]) writer.add(row);
    deepStrictEqual(digestOf(dataset(writer.finish(), three)), digestOf(different[0]!));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
