import { deepStrictEqual, rejects } from "node:assert";
import { stringify } from "csv-stringify/sync";
import fc from "fast-check";
import { openTable, readRows, type TableOptions } from "./table.ts";

const encode = (text: string) => new TextEncoder().encode(text);

/** Reads a file of this content. */
async function read(content: string | Uint8Array, columns = ["a", "b"], suffix = ".csv") {
  const file = await Deno.makeTempFile({ suffix });
  try {
    await Deno.writeFile(file, typeof content === "string" ? encode(content) : content);
    return await Array.fromAsync(readRows(file, columns));
  } finally {
    await Deno.remove(file);
  }
}

const twoRows = [{ values: { a: "1", b: "é 2" }, line: 2 }, {
  values: { a: "3", b: "4" },
  line: 3,
}];

for (
  const [what, content, suffix] of [
    ["CSV", "a,b\n1,é 2\n3,4\n", ".csv"],
    ["a byte-order mark and CRLF", "\uFEFFa,b\r\n1,é 2\r\n3,4\r\n", ".csv"],
    ["a header that ends in LF over rows that end in CRLF", "a,b\n1,é 2\r\n3,4\r\n", ".csv"],
    ["a header that ends in CRLF over rows that end in LF", "a,b\r\n1,é 2\n3,4\n", ".csv"],
    ["no line end at the end", "a,b\n1,é 2\n3,4", ".csv"],
    ["columns in another order, and further ones", "x,b,a\n,é 2,1\n,4,3\n", ".csv"],
    ["TSV", "a\tb\n1\té 2\n3\t4\n", ".tsv"],
    ["JSON Lines", '\n{"a": 1, "b": "é 2"}\n{"b": "4", "a": 3, "c": []}'.slice(1), ".jsonl"],
  ] as const
) {
  Deno.test(`readRows() reads ${what}`, async () => {
    const rows = await read(content, ["a", "b"], suffix);
    const lines = suffix === ".jsonl" ? [1, 2] : [2, 3];
    deepStrictEqual(rows.map(({ values }) => ({ ...values })), twoRows.map((row) => row.values));
    deepStrictEqual(rows.map(({ line }) => line), lines);
  });
}

Deno.test("readRows() gives back whatever a CSV writer wrote", async () => {
  const field = fc.string({ unit: "binary", maxLength: 20 })
    .map((text) => text.replaceAll("\0", ""));
  const rows = fc.array(fc.record({ a: field, b: field }), { minLength: 1, maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(rows, fc.boolean(), async (rows, crlf) => {
      const content = stringify(rows, {
        header: true,
        columns: ["a", "b"],
        quoted: true,
        record_delimiter: crlf ? "windows" : "unix",
      });
      const found = await read(content);
      deepStrictEqual(
        found.map(({ values: { a, b } }) => ({ a, b })),
        rows.map((row) => ({
          a: row.a,
          b: row.b,
        })),
      );
    }),
    { numRuns: 50 },
  );
});

Deno.test("readRows() reads files of several blocks, whatever bytes the blocks are cut at", async () => {
  const texts = Array.from({ length: 200_000 }, (_, i) => `${i} €uro 日本`);
  const rows = await read(["a,b", ...texts.map((text) => `${text},x`)].join("\n"), ["a"]);
  deepStrictEqual(rows.map(({ values }) => values["a"]), texts);
  deepStrictEqual(rows.at(-1)!.line, 200_001);
});

const long = encode("a,b\n" + "x,y\n".repeat(400_000) + "x");
long[long.length - 1] = 0xff;

for (
  const [fault, content, message] of [
    ["is empty", "", /': expected a header line and at least one row$/],
    ["has a header only", "a,b\n", /': expected a header line and at least one row$/],
    ["lacks a column", "a,c\n1,2\n", /': expected a column 'b', found 'a', 'c'$/],
    ["has too many fields", "a,b\n1,2\n1,2,3\n", / line 3: expected 2 fields, got 3$/],
    ["has too few fields", "a,b\n1,2\n1\n", / line 3: expected 2 fields, got 1$/],
    ["has an open quote", 'a,b\n1,2\n"3,4\n5,6\n', / line 3: a quote is opened and never closed$/],
    ["has a stray quote", 'a,b\n1,2\n3,4"5\n', / line 3: a quote stands inside a field/],
    [
      "is not UTF-8",
      Uint8Array.of(...encode("a,b\n1,2\n3,"), 0xe9, 0x0a),
      / line 3: it is not UTF/,
    ],
    [
      "ends within a character",
      Uint8Array.of(...encode("a,b\n1,"), 0xe2, 0x82),
      / line 2: it is n/,
    ],
    ["is long and not UTF-8", long, / line 400002: it is not UTF/],
    [
      "has a long open quote",
      `a,b\n"${`${"x,".repeat(100)}\n`.repeat(1e5)}`,
      / line 2: the row is longer than 16/,
    ],
    ["has a long line", "a".repeat(2 ** 24 + 1), / line 1: the line is longer than 16 MiB$/],
  ] as const
) {
  Deno.test(`readRows() refuses a file that ${fault}`, async () => {
    await rejects(read(content), { name: "UserError", message });
  });
}

for (
  const [fault, content, message] of [
    ["is not JSON", '{"a": 1, "b": 2}\n{"a": 1,\n', / line 2: it is not JSON$/],
    ["is not an object", '["a", "b"]\n', / line 1: expected an object$/],
    ["lacks a key", '{"a": 1, "b": 2}\n\n{"a": 1}\n', / line 3: expected a column 'b', found 'a'$/],
    ["holds a list", '{"a": [1], "b": 2}\n', / line 1: expected 'a' to be a text, a number or a /],
  ] as const
) {
  Deno.test(`readRows() refuses a line of JSON that ${fault}`, async () => {
    await rejects(read(content, ["a", "b"], ".jsonl"), { name: "UserError", message });
  });
}

Deno.test("readRows() keeps every digit of a number in JSON", async () => {
  const numbers = ["9007199254740993", "-12345678901234567890", "12", "0.25", "true"];
  const rows = await read(numbers.map((number) => `{"a": ${number}}\n`).join(""), ["a"], ".jsonl");
  deepStrictEqual(rows.map(({ values }) => values["a"]), numbers);
});

Deno.test("readRows() refuses what is no file", async () => {
  await rejects(Array.fromAsync(readRows("nowhere.csv", ["a"])), {
    message: "Cannot read 'nowhere.csv': no such file",
  });
  await rejects(Array.fromAsync(readRows("data", ["a"])), {
    message: "Cannot read 'data': it is a folder",
  });
});

Deno.test("readRows() refuses two columns of a name that is wanted", async () => {
  await rejects(read("a,b,a\n1,2,3\n"), {
    name: "UserError",
    message: /expected one column 'a', found several$/,
  });
  deepStrictEqual((await read("a,b,c,c\n1,2,3,4\n")).length, 1);
});

/** Reads a file; returns the values of its rows, and the notes. */
async function readWithNotes(
  content: string | Uint8Array,
  columns: string[],
  { suffix = ".csv", ...options }: TableOptions & { suffix?: string } = {},
) {
  const notes: string[] = [];
  const file = await Deno.makeTempFile({ suffix });
  try {
    await Deno.writeFile(file, typeof content === "string" ? encode(content) : content);
    const onNote = (note: string) => notes.push(note.replace(/'[^']*(\.\w+)'/, "'raw$1'"));
    const rows = await Array.fromAsync(readRows(file, columns, { onNote, ...options }));
    return { rows: rows.map(({ values }) => columns.map((column) => values[column])), notes };
  } finally {
    await Deno.remove(file);
  }
}

for (
  const [what, content, suffix, note] of [
    ["semicolons", "a;b\n1, or so;2\n", ".csv", "'raw.csv' has ';' between its columns"],
    ["tabs", "a\tb\n1, or so\t2\n", ".csv", "'raw.csv' has tabs between its columns"],
    ["bars", "a|b\n1, or so|2\n", ".csv", "'raw.csv' has '|' between its columns"],
    ["commas", 'a,b\n"1, or so",2\n', ".tsv", "'raw.tsv' has ',' between its columns"],
    [
      "more bars than commas",
      'a,b|c,d\n"1, or so",2|3|4|5,6\n',
      ".csv",
      undefined,
    ],
    [
      "Excel's own line",
      "sep=;\r\na;b\r\n1, or so;2\r\n",
      ".csv",
      "'raw.csv' has ';' between its columns",
    ],
  ] as const
) {
  Deno.test(`readRows() finds the delimiter of a file with ${what}`, async () => {
    const columns = ["a", note === undefined ? "d" : "b"];
    const { rows, notes } = await readWithNotes(content, columns, { suffix });
    deepStrictEqual(rows, [["1, or so", note === undefined ? "6" : "2"]]);
    deepStrictEqual(notes, note === undefined ? [] : [note]);
  });
}

Deno.test("readRows() takes a delimiter that it is given", async () => {
  for (const [delimiter, between] of [["^", "^"], ["tab", "\t"], ["\\t", "\t"]] as const) {
    const content = `a${between}b\n1,2${between}3\n`;
    const { rows } = await readWithNotes(content, ["a", "b"], { delimiter });
    deepStrictEqual(rows, [["1,2", "3"]]);
  }
  for (const delimiter of ["", ",,", '"', "\n"]) {
    await rejects(readWithNotes("a,b\n1,2\n", ["a"], { delimiter }), {
      name: "UserError",
      message: `Cannot use --delimiter ${delimiter}: expected one character, or tab`,
    });
  }
});

Deno.test("readRows() takes quotes of a TSV file for text unless a whole field is quoted", async () => {
  const lines = [
    '"Best soup ever, chef\tfood',
    'stir "gently"\tfood',
    '"quoted, with ""quotes"""\tfood',
    '"Yes" she said\tsport',
    'goal in extra time"\tsport',
    '"\tsport',
  ];
  const { rows, notes } = await readWithNotes(["a\tb", ...lines].join("\n"), ["a", "b"], {
    suffix: ".tsv",
  });
  deepStrictEqual(rows, [
    ['"Best soup ever, chef', "food"],
    ['stir "gently"', "food"],
    ['quoted, with "quotes"', "food"],
    ['"Yes" she said', "sport"],
    ['goal in extra time"', "sport"],
    ['"', "sport"],
  ]);
  deepStrictEqual(notes, []);
});

Deno.test("readRows() says where fields of a TSV file go over line ends", async () => {
  for (const content of ['a\tb\n"one\ntwo"\tx\nthree\ty\n', 'b\ta\nx\t"one\ntwo"\ny\tthree\n']) {
    const { rows, notes } = await readWithNotes(content, ["a", "b"], { suffix: ".tsv" });
    deepStrictEqual(rows, [["one\ntwo", "x"], ["three", "y"]]);
    deepStrictEqual(notes, ["Quoted fields of 'raw.tsv' go over line ends in line 2"]);
  }
});

Deno.test("readRows() leaves out headers that come again, and says so", async () => {
  const { rows, notes } = await readWithNotes("a,b\n1,2\nA,B\n3,4\n a,b\n", ["a", "b"]);
  deepStrictEqual(rows, [["1", "2"], ["3", "4"]]);
  deepStrictEqual(notes, ["The header of 'raw.csv' comes again in line 3, 5; it is no row"]);
});

Deno.test("readRows() refuses a header that comes again in another order", async () => {
  for (const header of ["b,a", '"B", A']) {
    await rejects(read(`a,b\n1,2\n${header}\n3,4\n`), {
      name: "UserError",
      message: / line 3: the header comes again with its columns in another order; /,
    });
  }
  const { rows } = await readWithNotes("a,b\nb,b\na,1\n", ["a", "b"]);
  deepStrictEqual(rows, [["b", "b"], ["a", "1"]]);
});

Deno.test("readRows() names rows that hold a NUL character as bad", async () => {
  const message = / line \d: it holds a NUL character, which is no text$/;
  for (const content of ["a,b\n1,2\n3\0,4\n", "a,b\n1,2\n\0\0\0", 'a,b\n1,"\0"\n']) {
    await rejects(read(content), { name: "UserError", message });
  }
  await rejects(read('{"a": "\\u0000", "b": 1}', ["a", "b"], ".jsonl"), { message });
  // Columns that nobody reads may hold anything.
  deepStrictEqual((await read("a,b\n1,\0\n", ["a"])).length, 1);
});

Deno.test("readRows() counts lines where quoted fields hold line ends of any kind", async () => {
  const rows = await read('a,b\r\n"1\r\n2\n3\r4",x\r\n5,y\r\n');
  deepStrictEqual(rows.map(({ line }) => line), [2, 6]);
  await rejects(read('a,b\r\n"1\r\n2",x\r\n5\r\n'), / line 4: expected 2 fields, got 1$/);
});

Deno.test("readRows() names all bad rows, and reads on after a quote that is never closed", async () => {
  await rejects(read('a,b\n"1,2\n3,4\n5\n"6\n7",8,9\nx"y,z\n'), {
    name: "UserError",
    message: new RegExp(
      " line 2: a quote is opened, and the next, in line 5, ends no field; " +
        "line 4: expected 2 fields, got 1; line 5: expected 2 fields, got 3; " +
        "line 7: a quote stands inside a field; .* In all 4 rows are bad: .*--skip-bad-rows leaves them out$",
    ),
  });
  await rejects(read(`a,b\n${"1\n".repeat(1000)}`), (error: Error) => {
    const { message } = error;
    deepStrictEqual(message.match(/line \d+: /g)?.length, 10);
    return message.includes("In all 1,000 rows are bad");
  });
});

Deno.test("readRows() reads other encodings, told by a mark or by name", async () => {
  const text = "a,b\nGrüße,1 \u0a0a\nzwei,2\n";
  const units = Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
  const utf16 = [0xfeff, ...units].flatMap((unit) => [unit & 0xff, unit >> 8]);
  const swapped = utf16.map((_, i) => utf16[i ^ 1]!);
  for (const bytes of [utf16, swapped]) {
    const { rows } = await readWithNotes(Uint8Array.from(bytes), ["a", "b"]);
    deepStrictEqual(rows, [["Grüße", "1 \u0a0a"], ["zwei", "2"]]);
  }
  const windows = Uint8Array.from("a,b\nGrüße,1\n", (letter) => letter.charCodeAt(0));
  const { rows } = await readWithNotes(windows, ["a", "b"], { encoding: "windows-1252" });
  deepStrictEqual(rows, [["Grüße", "1"]]);
  const hint =
    / line 2: it is not UTF-8 text; try --encoding windows-1252, or windows-1251 for Cyrillic, .*, or save it as UTF-8$/;
  await rejects(readWithNotes(windows, ["a"]), hint);
  await rejects(readWithNotes(windows, ["a"], { encoding: "utf-9" }), {
    message: "Cannot use --encoding utf-9: expected a name such as utf-8, windows-1252 or utf-16le",
  });
});

Deno.test("readRows() knows UTF-16 without a mark", async () => {
  // Each 一 has a zero where letters of ASCII in the other byte order have theirs.
  const chinese = `文本,标签\n${"不上一".repeat(500)},好\n`;
  for (
    const text of ["a,b\n1,2\n", "текст;метка\r\nдва слова;да\n", "ą,ž\n1,2\n", chinese]
  ) {
    const units = Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
    const little = units.flatMap((unit) => [unit & 0xff, unit >> 8]);
    const big = little.map((_, i) => little[i ^ 1]!);
    for (const [bytes, name] of [[little, "utf-16le"], [big, "utf-16be"]] as const) {
      await rejects(readWithNotes(Uint8Array.from(bytes), ["a"]), {
        message: new RegExp(`: it seems to be UTF-16 without a mark; try --encoding ${name}$`),
      });
    }
  }
  await rejects(read("a,b\n\0,2\n1,2\n"), { message: / line 2: it holds a NUL character/ });
});

for (
  const [kind, bytes, message] of [
    ["a workbook of Excel", [0x50, 0x4b, 3, 4, 20], /it is a ZIP archive, as Excel's workbooks/],
    ["a file of gzip", [0x1f, 0x8b, 8, 0], /it is compressed with gzip; unpack it first$/],
    ["an old workbook of Excel", [0xd0, 0xcf, 0x11, 0xe0, 0xa1], /it is a workbook of an older/],
    ["a file of bzip2", [0x42, 0x5a, 0x68, 0x39], /it is compressed with bzip2; unpack it first$/],
    ["a file of zstd", [0x28, 0xb5, 0x2f, 0xfd], /it is compressed with zstd; unpack it first$/],
    ["UTF-32", [0xff, 0xfe, 0, 0, 0x61, 0, 0, 0], /it is UTF-32; save it as UTF-8$/],
    ["a web page", [..."<!DOCTYPE html>"].map((it) => it.charCodeAt(0)), /it is a web page; /],
    [
      "a pointer of Git LFS",
      [..."version https://git-lfs.github.com/spec/v1"].map((it) => it.charCodeAt(0)),
      /it is the pointer that Git LFS leaves/,
    ],
    ["a Parquet file", [0x50, 0x41, 0x52, 0x31], /it is a Parquet file; save the table as CSV$/],
  ] as const
) {
  Deno.test(`openTable() says that it was given ${kind}`, async () => {
    await rejects(readWithNotes(Uint8Array.from(bytes), ["a"]), { name: "UserError", message });
  });
}

for (
  const [suffix, text, message] of [
    [
      ".csv",
      '{"a": 1, "b": 2}\n',
      /it is JSON; a table of one object a line has a name in \.jsonl,/,
    ],
    [".tsv", '[\n  {"a": 1}\n]\n', /it is JSON; /],
    [".csv", "<TABLE><tr>", /it is HTML; save the table as CSV$/],
    [".csv", '<?xml version="1.0"?>', /it is XML; save the table as CSV$/],
    [".json", '{"a": {"0": 1}, "b": {"0": 2}}\n', /it is one JSON object; expected JSON Lines,/],
    [".json", '{\n  "data": []\n}\n', /it is one JSON object; expected JSON Lines, one /],
    [".jsonl", '{"a": "x\\ud83d", "b": 1}\n', / line 1: it holds half of a surrogate pair, /],
  ] as const
) {
  Deno.test(`readRows() says why ${suffix} is no table: ${JSON.stringify(text)}`, async () => {
    await rejects(read(text, ["a", "b"], suffix), { name: "UserError", message });
  });
}

Deno.test("openTable() tells the columns of a table", async () => {
  for (const [suffix, content] of [[".csv", "a, b\n1,2\n"], [".jsonl", '{"a": 1, "b": 2}\n']]) {
    const file = await Deno.makeTempFile({ suffix: suffix! });
    await Deno.writeTextFile(file, content!);
    await using table = await openTable(file);
    deepStrictEqual(table.columns, ["a", "b"]);
    await Deno.remove(file);
  }
});

Deno.test("readRows() takes lists of labels in JSON Lines where they are wanted", async () => {
  const file = await Deno.makeTempFile({ suffix: ".jsonl" });
  try {
    await Deno.writeTextFile(file, '{"a": ["x", "y z", 1]}\n{"a": []}\n{"a": "x"}\n');
    const rows = await Array.fromAsync(readRows(file, ["a"], { lists: ["a"] }));
    deepStrictEqual(rows.map(({ values }) => values["a"]), ["x|y z|1", "", "x"]);
    await Deno.writeTextFile(file, '{"a": ["x|y"]}\n');
    const reading = Array.fromAsync(readRows(file, ["a"], { lists: ["a"] }));
    await rejects(reading, / line 1: 'x\|y' in 'a' holds a \|, which joins names$/);
  } finally {
    await Deno.remove(file);
  }
});
