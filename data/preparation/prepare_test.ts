import { deepStrictEqual, ok, rejects } from "node:assert";
import { stringify } from "csv-stringify/sync";
import fc from "fast-check";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { readExamples } from "../examples.ts";
import { readDataset } from "../dataset.ts";
import { duplicateKey } from "./normalise.ts";
import { type PreparationOptions, prepare } from "./prepare.ts";
import type { PrepareSettings } from "./prepare_settings.ts";

/** Runs a test in a folder with a raw file. */
async function withRaw(
  content: string,
  test: (raw: string, dir: string, out: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    const raw = join(dir, "raw.csv");
    await Deno.writeTextFile(raw, content);
    await test(raw, dir, join(dir, "out"));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function namesIn(dir: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name).sort();
}

async function readSides(out: string) {
  const [train, validation, test] = await Promise.all(
    ["train", "val", "test"].map((side) => readExamples(join(out, `${side}_simple.csv`))),
  );
  return { train: train!, validation: validation!, test: test! };
}

/** Rows of a made-up export with the relevant columns of USvideos.csv. */
function youtubeCsv(): string {
  const rows = [];
  // Rows by category: as in the published file, five of the sixteen reach the 0.70 quantile.
  const sizes = { 24: 100, 10: 65, 26: 41, 23: 34, 22: 32, 25: 25, 28: 24, 1: 23, 17: 22, 27: 17 };
  const rare = { 15: 9, 20: 8, 19: 4, 2: 4, 43: 2, 29: 1 };
  for (const [category, size] of Object.entries({ ...sizes, ...rare })) {
    for (let i = 0; i < size; i++) {
      // Each title trends on three days, with other capitals.
      const title = `The ${i % 3 === 0 ? "BIG" : "big"}, story no_${
        Math.floor(i / 3)
      }: ${category}x!`;
      rows.push([`id${rows.length}`, title, category]);
    }
  }
  rows.push(["id-empty", "2018 | 日本", "24"]);
  return stringify([["video_id", "title", "category_id"], ...rows]);
}

Deno.test("prepare() makes YouTube's export into an honest split by default", async () => {
  await withRaw(youtubeCsv(), async (raw, _, out) => {
    const dataset = await prepare(raw, { settings: {}, outDir: out });
    deepStrictEqual([dataset.counts.read, dataset.counts.emptied, dataset.counts.kept], [
      412,
      1,
      411,
    ]);
    const { train, validation, test } = await readSides(out);
    const seen = new Set(train.map(({ text }) => text));
    ok(train.some(({ text }) => text === "big story 24x" || text === "big story no 24x"));
    ok(validation.concat(test).every(({ text }) => !seen.has(text)));
    deepStrictEqual(
      dataset.classes.map(({ name, raw, rows }) => [name, raw.length, rows]),
      [
        ["Entertainment", 1, 100],
        ["Music", 1, 65],
        ["Howto & Style", 1, 41],
        ["Comedy", 1, 34],
        ["People & Blogs", 1, 32],
        ["other", 11, 139],
      ],
    );
  });
});

Deno.test("prepare() follows the published recipe", async () => {
  await withRaw(youtubeCsv(), async (raw, _, out) => {
    const dataset = await prepare(raw, { settings: { recipe: "published" }, outDir: out });
    deepStrictEqual(
      dataset.classes.map(({ label, name, raw }) => [label, name, raw.length]),
      [
        ["0", "Entertainment", 1],
        ["1", "Music", 1],
        ["2", "Howto & Style", 1],
        ["3", "Comedy", 1],
        ["4", "People & Blogs", 1],
        ["5", "other", 11],
      ],
    );
    deepStrictEqual(JSON.parse(await Deno.readTextFile(join(out, "labels.json"))), {
      0: "Entertainment",
      1: "Music",
      2: "Howto & Style",
      3: "Comedy",
      4: "People & Blogs",
      5: "other",
    });
    // ceil(0.2 * 411) = 83 rows are held out, ceil(0.2 * 83) = 17 of them for validation.
    const { train, validation, test } = await readSides(out);
    deepStrictEqual([dataset.counts.train_before_balance, validation.length, test.length], [
      328,
      17,
      66,
    ]);
    const sizes = [...Map.groupBy(train, ({ label }) => label).values()].map((rows) => rows.length);
    deepStrictEqual(sizes, new Array(6).fill(sizes[0]));
  });
});

Deno.test("prepare() tells in dataset.json what it read and wrote", async () => {
  await withRaw(youtubeCsv(), async (raw, _, out) => {
    const dataset = await prepare(raw, { settings: { seed: 7 }, outDir: out });
    deepStrictEqual(JSON.parse(await Deno.readTextFile(join(out, "dataset.json"))), dataset);
    const sha256 = async (file: string) =>
      createHash("sha256").update(await Deno.readFile(file)).digest("hex");
    deepStrictEqual(dataset.input, {
      file: "raw.csv",
      bytes: (await Deno.stat(raw)).size,
      sha256: await sha256(raw),
    });
    const sides = await readSides(out);
    for (const [side, { file, rows, classes, sha256: digest }] of Object.entries(dataset.files)) {
      const examples = sides[side as keyof typeof sides];
      deepStrictEqual(digest, await sha256(join(out, file)));
      deepStrictEqual(rows, examples.length);
      const counts = [...Map.groupBy(examples, ({ label }) => label)]
        .map(([label, { length }]) => [label, length] as const);
      deepStrictEqual(classes, Object.fromEntries(counts));
    }
    deepStrictEqual(dataset.settings["seed"], 7);
    deepStrictEqual(await namesIn(out), [
      "dataset.json",
      "labels.json",
      "test_simple.csv",
      "train_simple.csv",
      "val_simple.csv",
    ]);
  });
});

Deno.test("prepare() never lets a text stand on two sides, and repeats itself", async () => {
  const text = fc.constantFrom(
    "a b",
    "A  b!",
    "a, B",
    "c",
    "C?",
    "d",
    "e",
    "f",
    "ö",
    "Ö",
    "!!",
    "g",
  );
  const rows = fc.array(fc.record({ text, label: fc.constantFrom("x", "y") }), {
    minLength: 25,
    maxLength: 60,
  });
  await fc.assert(
    fc.asyncProperty(rows, fc.nat(100), async (rows, seed) => {
      fc.pre(new Set(rows.map(({ label }) => label)).size === 2);
      await withRaw(stringify(rows, { header: true }), async (raw, dir, out) => {
        const settings = { text: "text", label: "label", seed };
        try {
          await prepare(raw, { settings, outDir: out });
        } catch (error) {
          if (error instanceof Error && error.message.includes("no row would be left")) return;
          throw error;
        }
        const sides = await readSides(out);
        const sideOf = new Map<string, string>();
        for (const [side, examples] of Object.entries(sides)) {
          for (const { text } of examples) {
            deepStrictEqual(sideOf.get(duplicateKey(text)) ?? side, side);
            sideOf.set(duplicateKey(text), side);
          }
        }
        const all = Object.values(sides).flat().map(({ text, label }) => `${text},${label}`);
        deepStrictEqual(
          all.sort(),
          rows.map(({ text, label }) => `${text.split(/\s+/).join(" ")},${label}`).sort(),
        );
        await prepare(raw, { settings, outDir: join(dir, "again") });
        deepStrictEqual(await readSides(join(dir, "again")), sides);
      });
    }),
    { numRuns: 25 },
  );
});

Deno.test("prepare() joins columns, keeps groups together and names labels", async () => {
  const rows = Array.from(
    { length: 60 },
    (_, i) => ({ head: `h${i}`, body: `b${i}`, user: `u${i % 12}`, kind: `${i % 2}` }),
  );
  await withRaw(stringify(rows, { header: true }), async (raw, dir, out) => {
    const names = join(dir, "names.json");
    await Deno.writeTextFile(names, '{"0": "even"}');
    const settings = { text: "head, body", label: "kind", group: "user", labelNames: names };
    const { counts } = await prepare(raw, { settings, outDir: out });
    deepStrictEqual([counts.distinct_texts, counts.groups], [60, 12]);
    const sides = Object.values(await readSides(out));
    const users = sides.map((examples) =>
      new Set(examples.map(({ text }) => Number(/h(\d+) b\1$/.exec(text)![1]) % 12))
    );
    deepStrictEqual(users.reduce((sum, side) => sum + side.size, 0), 12);
    const labels = new Set(sides.flat().map(({ label }) => label));
    deepStrictEqual(labels, new Set(["even", "1"]));
  });
});

const twelve = Array.from({ length: 12 }, (_, i) => `text ${i},${i % 2}\n`).join("");
const plain = { text: "text", label: "label" };

for (
  const [fault, content, settings, message] of [
    [
      "an empty text",
      "text,label\na,1\n , 2\n",
      plain,
      / line 3: the text is empty; --skip-bad-rows leaves it out$/,
    ],
    ["an empty label", "text,label\na,\n", plain, / line 2: the label is empty; /],
    ["an empty group", "text,label,g\na,1,\n", { ...plain, group: "g" }, / line 2: 'g' is empty; /],
    [
      "no such column",
      "text,kind\na,1\n",
      {},
      / expected a column 'label', found 'text', 'kind': name yours with --label$/,
    ],
    [
      "one class",
      "text,label\na,1\nb,1\n",
      plain,
      /rows: expected at least two classes, found only '1'$/,
    ],
    ["too few rows", "text,label\na,1\nb,2\n", plain, /no row would be left for the validation/],
    ["ratios over 1", "", { testRatio: 0.6, valRatio: 0.4 }, /they must be less than 1$/],
    ["names that are no JSON", "", { labelNames: "{1: 2}" }, /^Cannot use --label-names \{1: 2\}/],
  ] as [string, string, PrepareSettings, RegExp][]
) {
  Deno.test(`prepare() refuses ${fault} and writes nothing`, async () => {
    await withRaw(content, async (raw, dir, out) => {
      await rejects(prepare(raw, { settings, outDir: out }), { name: "UserError", message });
      deepStrictEqual(await namesIn(dir), ["raw.csv"]);
    });
  });
}

Deno.test("prepare() replaces a data set only when told to", async () => {
  await withRaw(`text,label\n${twelve}`, async (raw, _, out) => {
    const options: PreparationOptions = { settings: plain, outDir: out };
    await prepare(raw, options);
    await rejects(prepare(raw, options), /it holds 'train_simple.csv'; use --overwrite$/);
    await prepare(raw, { ...options, overwrite: true });
  });
});

Deno.test("prepare() takes data of any format for a data set, and replaces all of it", async () => {
  await withRaw(`text,label\n${twelve}`, async (raw, _, out) => {
    for (const file of ["val_simple.jsonl", "test_simple.tsv", "labels.json"]) {
      await Deno.mkdir(out, { recursive: true });
      await Deno.writeTextFile(join(out, file), "earlier");
      const options = { settings: plain, outDir: out };
      await rejects(prepare(raw, options), new RegExp(`it holds '${file}'; use --overwrite$`));
      deepStrictEqual(await namesIn(out), [file]);
      await prepare(raw, { ...options, overwrite: true });
      deepStrictEqual(await namesIn(out), [
        "dataset.json",
        "labels.json",
        "test_simple.csv",
        "train_simple.csv",
        "val_simple.csv",
      ]);
      await Deno.remove(out, { recursive: true });
    }
  });
});

Deno.test("prepare() that is stopped while files take their names leaves no data set", async () => {
  await withRaw(`text,label\n${twelve}`, async (raw, _, out) => {
    const options = { settings: plain, outDir: out, overwrite: true };
    const { rename } = Deno;
    for (const fails of [1, 2, 3, 4, 5]) {
      await prepare(raw, options);
      let renames = 0;
      Deno.rename = async (from, to) => {
        if (++renames === fails) throw new Error("Killed");
        await rename(from, to);
      };
      try {
        await rejects(prepare(raw, options), /Killed/);
      } finally {
        Deno.rename = rename;
      }
      await rejects(readDataset(out), /train_simple.csv': no such file$/);
    }
  });
});

for (
  const [change, content] of [
    ["changes", twelve.replace("text 0", "text X")],
    ["grows", `${twelve}one more,1\n`],
  ] as const
) {
  Deno.test(`prepare() refuses a file that ${change} between its readings`, async () => {
    await withRaw(`text,label\n${twelve}`, async (raw, _, out) => {
      const { open } = Deno;
      let readings = 0;
      Deno.open = async (path, options) => {
        if (path === raw && ++readings === 2) {
          await Deno.writeTextFile(raw, `text,label\n${content}`);
        }
        return await open(path, options);
      };
      try {
        const preparing = prepare(raw, { settings: plain, outDir: out });
        await rejects(preparing, /^UserError: .*: it changed while it was read$/);
      } finally {
        Deno.open = open;
      }
      deepStrictEqual(await namesIn(out), []);
    });
  });
}

Deno.test("prepare() leaves nothing half-written when it is interrupted or the disk is full", async () => {
  await withRaw(`text,label\n${twelve}`, async (raw, _, out) => {
    const { write } = Deno.FsFile.prototype;
    for (const fails of [1, 2, 3, 4, 5]) {
      const controller = new AbortController();
      let writes = 0;
      Deno.FsFile.prototype.write = function (bytes) {
        if (++writes === fails) {
          if (fails % 2 === 0) throw new Error("No space left on device");
          controller.abort(new Error("Interrupted"));
        }
        return write.call(this, bytes);
      };
      try {
        const options = { settings: plain, outDir: out, signal: controller.signal };
        await rejects(prepare(raw, options), /No space|Interrupted/);
      } finally {
        Deno.FsFile.prototype.write = write;
      }
      deepStrictEqual(await namesIn(out), []);
    }
  });
});

Deno.test("prepare() takes classes of any name, and texts that normalising leaves empty", async () => {
  const rows = Array.from({ length: 40 }, (_, i) => [
    `text ${i}`,
    i % 2 === 0 ? "constructor" : "toString",
  ]);
  const raw = stringify([["title", "topic"], ...rows, ["the \uFEFF", "toString"]]);
  await withRaw(raw, async (file, _, out) => {
    const settings = { text: "title", label: "topic", stopwords: true };
    const { counts } = await prepare(file, { settings, outDir: out });
    deepStrictEqual([counts.read, counts.emptied, counts.kept], [41, 1, 40]);
    const { train } = await readSides(out);
    deepStrictEqual([...new Set(train.map(({ label }) => label))].sort(), [
      "constructor",
      "toString",
    ]);
  });
});

Deno.test("prepare() names all bad rows, or leaves them out and counts them", async () => {
  const bad = "only\n,0\na,b,c\n";
  await withRaw(`text,label\n${twelve}${bad}`, async (raw, _, out) => {
    const message = / line 14: expected 2 fields, got 1; line 15: the text is empty; line 16: /;
    await rejects(prepare(raw, { settings: plain, outDir: out }), { name: "UserError", message });
    const settings = { ...plain, skipBadRows: true };
    const { counts, bad_rows, notes } = await prepare(raw, { settings, outDir: out });
    deepStrictEqual([counts.read, counts.bad, counts.kept], [15, 3, 12]);
    deepStrictEqual(bad_rows.map(({ line }) => line), [14, 15, 16]);
    deepStrictEqual(notes, [
      "3 bad rows are left out: line 14: expected 2 fields, got 1; line 15: the text is empty; " +
      "line 16: expected 2 fields, got 3",
    ]);
  });
});

Deno.test("prepare() leaves rows out by their labels and counts them", async () => {
  await withRaw(`text,label\n${twelve}c,-1\nd,-1.0\ne,NaN\n`, async (raw, _, out) => {
    const settings = { ...plain, skipLabels: "-1,nan" };
    const { counts, notes } = await prepare(raw, { settings, outDir: out });
    deepStrictEqual([counts.read, counts.skipped, counts.kept], [15, 3, 12]);
    deepStrictEqual(notes, [
      `3 rows of 'raw.csv' are left out by --skip-labels: "-1" (1), "-1.0" (1), "NaN" (1)`,
    ]);
    deepStrictEqual((await readDataset(out)).labels, ["0", "1"]);
  });
});

Deno.test("prepare() counts the rows of each class where a text has several", async () => {
  const rows = Array.from({ length: 24 }, (_, i) => `text ${i},${["a", "b", "a|b", ""][i % 4]}`);
  await withRaw(["text,label", ...rows].join("\n"), async (raw, _, out) => {
    const settings = { ...plain, problemType: "multi_label_classification" as const };
    const { files } = await prepare(raw, { settings, outDir: out });
    const { classes, rows: all } = files.train;
    deepStrictEqual(Object.keys(classes), ["a", "b"]);
    ok(classes["a"]! + classes["b"]! >= all * 0.75, JSON.stringify(files.train));
  });
});

Deno.test("prepare() points out labels of several spellings, or merges them", async () => {
  const rows = Array.from(
    { length: 24 },
    (_, i) => `text ${i},${["Food", "food", "sport"][i % 3]}`,
  );
  await withRaw(["text,label", ...rows].join("\n"), async (raw, _, out) => {
    const apart = await prepare(raw, { settings: plain, outDir: out });
    deepStrictEqual(apart.classes.length, 3);
    deepStrictEqual(apart.notes.map((note) => note.slice(0, 31)), [
      "Labels that differ only in case",
    ]);
    const settings = { ...plain, normalizeLabels: true };
    const merged = await prepare(raw, { settings, outDir: out, overwrite: true });
    deepStrictEqual(merged.notes, []);
    deepStrictEqual(merged.classes.map(({ label, raw, rows }) => [label, raw, rows]), [
      ["Food", ["Food", "food"], 16],
      ["sport", ["sport"], 8],
    ]);
  });
});

Deno.test("prepare() pools classes by count and by rank", async () => {
  const sizes = { a: 20, b: 15, c: 10, d: 3, e: 2 };
  const rows = Object.entries(sizes).flatMap(([label, size]) =>
    Array.from({ length: size }, (_, i) => `text ${label}${i},${label}`)
  );
  await withRaw(["text,label", ...rows].join("\n"), async (raw, _, out) => {
    for (
      const [limits, expected] of [
        [{ minClassCount: 10 }, ["a", "b", "c", "other"]],
        [{ minClassCount: 3 }, ["a", "b", "c", "d", "other"]],
        [{ topClasses: 2 }, ["a", "b", "other"]],
        [{ topClasses: 3, minClassCount: 12 }, ["a", "b", "other"]],
      ] as const
    ) {
      const settings = { ...plain, ...limits };
      const { classes } = await prepare(raw, { settings, outDir: out, overwrite: true });
      deepStrictEqual(classes.map(({ label }) => label), expected);
    }
  });
});

for (const split of ["random", "stratified", "grouped"] as const) {
  Deno.test(`prepare() keeps a row of each class in training in a ${split} split`, async () => {
    const rows = Array.from({ length: 60 }, (_, i) => `text ${i},${i < 40 ? i % 2 : `rare${i}`}`);
    await withRaw(["text,label", ...rows].join("\n"), async (raw, _, out) => {
      for (const seed of [1, 2, 3]) {
        await prepare(raw, { settings: { ...plain, split, seed }, outDir: out, overwrite: true });
        deepStrictEqual((await readDataset(out)).labels.length, 22);
      }
    });
  });
}

Deno.test("prepare() leaves the test file out where its share is 0", async () => {
  await withRaw(`text,label\n${twelve}`, async (raw, _, out) => {
    const settings = { ...plain, testRatio: 0, valRatio: 0.25 };
    const { files } = await prepare(raw, { settings, outDir: out });
    deepStrictEqual(Object.keys(files), ["train", "validation"]);
    deepStrictEqual((await readDataset(out)).test, []);
  });
});
