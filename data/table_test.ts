import { deepStrictEqual, rejects } from "node:assert";
import { stringify } from "csv-stringify/sync";
import fc from "fast-check";
import { readRows } from "./table.ts";

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
  const field = fc.string({ unit: "binary", maxLength: 20 });
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
    ["has a long open quote", `a,b\n"${"x,y\n".repeat(5e6)}`, / line 2: the row is longer than 16/],
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
