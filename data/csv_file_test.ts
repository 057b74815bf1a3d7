import { deepStrictEqual, strictEqual } from "node:assert";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import { stringify } from "csv-stringify/sync";
import fc from "fast-check";
import { csvField, writeExamples } from "./csv_file.ts";

const field = fc.string({
  unit: fc.constantFrom("a", "é", '"', ",", "\n", "\r", " ", "\uFEFF"),
  minLength: 1,
});

Deno.test("csvField() quotes as RFC 4180 says", () => {
  fc.assert(fc.property(field, (text) => {
    const [[read]] = parse(`x,${csvField(text)}\n`, { columns: false, record_delimiter: "\n" })
      .map(([, second]: string[]) => [second]) as [[string]];
    strictEqual(read, text);
  }));
});

Deno.test("writeExamples() writes what csv-stringify does", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const path = join(dir, "t.csv");
    const label = fc.constantFrom("a", "b,c", "");
    const rows = fc.array(fc.record({ text: field, label }, { noNullPrototype: true }));
    await fc.assert(fc.asyncProperty(rows, async (rows) => {
      const quoted = rows.map(({ text, label }) => ({ text: text.replaceAll("\r", " "), label }));
      await writeExamples(path, quoted);
      const expected = stringify(quoted, { header: true, columns: ["text", "label"] });
      strictEqual(await Deno.readTextFile(path), expected.replace(/^\uFEFF/, ""));
    }));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("writeExamples() writes texts longer than its blocks", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const path = join(dir, "t.csv");
    const rows = [1, 2 ** 19, 3 * 2 ** 20].map((size) => ({ text: '",'.repeat(size), label: "a" }));
    await writeExamples(path, rows);
    const [, ...read] = parse(await Deno.readTextFile(path)) as [string, string][];
    deepStrictEqual(
      read.map(([text]) => text.length),
      rows.map(({ text }) => text.length),
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
