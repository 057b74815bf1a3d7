import { deepStrictEqual } from "node:assert";
import { join } from "node:path";
import { parse } from "csv-parse/sync";
import fc from "fast-check";
import { writeExamples } from "./csv_file.ts";

const field = fc.string({
  unit: fc.constantFrom("a", "é", '"', ",", "\n", "\r", " ", "\uFEFF"),
  minLength: 1,
});

Deno.test("writeExamples() writes rows that are read as they were", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const path = join(dir, "t.csv");
    const label = fc.constantFrom("a", "b,c", 'd"');
    const rows = fc.array(fc.record({ text: field, label }, { noNullPrototype: true }), {
      minLength: 1,
    });
    await fc.assert(fc.asyncProperty(rows, async (rows) => {
      await writeExamples(path, rows);
      const written = await Deno.readTextFile(path);
      deepStrictEqual(parse(written, { columns: true, record_delimiter: ["\n", "\r"] }), rows);
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
