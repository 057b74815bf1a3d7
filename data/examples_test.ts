import { deepStrictEqual, rejects } from "node:assert";
import fc from "fast-check";
import { stringify } from "csv-stringify/sync";
import { readExamples } from "./examples.ts";
import type { ProblemType } from "./labels.ts";

async function read(content: string | Uint8Array, problemType?: ProblemType) {
  const file = await Deno.makeTempFile({ suffix: ".csv" });
  try {
    await Deno.writeFile(
      file,
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    );
    return await readExamples(file, problemType);
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("readExamples() reads texts and labels, quoted or not", async () => {
  deepStrictEqual(await read('text,label\nplain,0\n"with, comma and ""quotes""",music\n'), [
    { text: "plain", label: "0" },
    { text: 'with, comma and "quotes"', label: "music" },
  ]);
});

Deno.test("readExamples() accepts a byte-order mark, CRLF and further columns", async () => {
  deepStrictEqual(await read("\uFEFFid,label,text\r\n7,a,one\r\n8,b,two\r\n"), [
    { text: "one", label: "a" },
    { text: "two", label: "b" },
  ]);
});

Deno.test("readExamples() reads TSV and JSON Lines, and columns of other names", async () => {
  const columns = { text: "title", label: "kind" };
  const examples = [{ text: "one", label: "1" }, { text: "two, three", label: "b" }];
  for (
    const [suffix, content] of [
      [".tsv", "id\ttitle\tkind\n7\tone\t1\n8\ttwo, three\tb\n"],
      [".jsonl", '{"title": "one", "kind": 1}\n{"kind": "b", "title": "two, three"}\n'],
    ] as const
  ) {
    const file = await Deno.makeTempFile({ suffix });
    try {
      await Deno.writeTextFile(file, content);
      deepStrictEqual(await readExamples(file, undefined, columns), examples);
    } finally {
      await Deno.remove(file);
    }
  }
});

Deno.test("readExamples() gives back whatever a CSV writer wrote", async () => {
  const field = fc.string({ unit: "grapheme" }).filter((value) => value.trim() !== "");
  const rows = fc.array(
    fc.tuple(field, field).map(([text, label]) => ({ text, label: label.trim() })),
    { minLength: 1, maxLength: 20 },
  );
  await fc.assert(
    fc.asyncProperty(rows, async (rows) => {
      deepStrictEqual(await read(stringify(rows, { header: true })), rows);
    }),
    { numRuns: 50 },
  );
});

for (
  const [fault, content, message] of [
    ["too many fields", "text,label\na,1\nb,2,3\n", /line 3: expected 2 fields, got 3$/],
    ["too few fields", "text,label\na,1\nb\n", /line 3: expected 2 fields, got 1$/],
    ["an open quote", 'text,label\n"a,1\nb,2\n', /a quote is opened and never closed$/],
    ["no rows", "text,label\n", /expected a header line and at least one row$/],
    ["nothing at all", "", /expected a header line and at least one row$/],
    [
      "no label column",
      "text,kind\na,1\n",
      /expected a column 'label', found 'text', 'kind': name yours with --label$/,
    ],
    ["an empty text", "text,label\na,1\n  ,2\n", /line 3: the text is empty$/],
    ["an empty label", "text,label\na,\n", /line 2: the label is empty$/],
    [
      "bytes that are not UTF-8",
      Uint8Array.of(0x61, 0xff, 0x0a),
      /line 1: it is not UTF-8 text; try --encoding windows-1252/,
    ],
  ] as const
) {
  Deno.test(`readExamples() refuses a file with ${fault}`, async () => {
    await rejects(read(content), { name: "UserError", message });
  });
}

Deno.test("readExamples() allows an empty label where there may be several", async () => {
  deepStrictEqual(await read("text,label\na,\nb,x|y\n", "multi_label_classification"), [
    { text: "a", label: "" },
    { text: "b", label: "x|y" },
  ]);
});

for (
  const [problemType, content, message] of [
    ["multi_label_classification", "text,label\na,x\nb,x||y\n", /line 3: .* has an empty part$/],
    ["multi_label_classification", "text,label\na,x|x\n", /line 2: .* names 'x' twice$/],
    ["regression", "text,label\na,1\nb,\n", /line 3: the label is empty$/],
    ["regression", "text,label\na,1\n\nb,two\n", /line 4: expected a number .* got 'two'$/],
  ] as const
) {
  Deno.test(`readExamples() refuses ${JSON.stringify(content)} in ${problemType}`, async () => {
    await rejects(read(content, problemType), { name: "UserError", message });
  });
}

Deno.test("readExamples() refuses a file that is not there", async () => {
  await rejects(
    readExamples("nowhere.csv"),
    /^UserError: Cannot read 'nowhere.csv': no such file$/,
  );
});
