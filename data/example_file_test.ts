import { deepStrictEqual, strictEqual, throws } from "node:assert";
import { join } from "node:path";
import fc from "fast-check";
import type { Example } from "./examples.ts";
import {
  type ExampleFile,
  ExampleFileWriter,
  labelsOfRows,
  selectExamples,
  utf8Texts,
  withLabels,
} from "./example_file.ts";

/** Runs a test on rows in a file of their own. */
async function withRows(rows: readonly Example[], test: (file: ExampleFile) => void) {
  const dir = await Deno.makeTempDir();
  try {
    using writer = ExampleFileWriter.create(join(dir, "rows"));
    for (const row of rows) writer.add(row);
    test(writer.finish());
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("ExampleFile gives the rows that were written, one by one and in turn", async () => {
  const text = fc.string({ unit: "grapheme", minLength: 1 });
  const row = fc.record({ text, label: fc.constantFrom("a", "b", "") }, { noNullPrototype: true });
  await fc.assert(
    fc.asyncProperty(fc.array(row, { maxLength: 20 }), async (rows) => {
      await withRows(rows, (file) => {
        deepStrictEqual([...file], rows);
        deepStrictEqual(rows.map((_, i) => file.at(i)), rows);
        deepStrictEqual([...labelsOfRows(file)], rows.map(({ label }) => label));
        deepStrictEqual(
          Array.from(
            utf8Texts(file),
            (bytes) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes),
          ),
          rows.map(({ text }) => text),
        );
      });
    }),
    { numRuns: 30 },
  );
});

Deno.test("ExampleFile holds texts longer than its blocks, and many rows", async () => {
  const rows = [
    { text: "é".repeat(2 ** 20), label: "long" },
    ...Array.from({ length: 200_000 }, (_, i) => ({ text: `text ${i}`, label: `${i % 3}` })),
    { text: "x".repeat(3 * 2 ** 20), label: "longer" },
  ];
  await withRows(rows, (file) => {
    strictEqual(file.length, rows.length);
    let row = 0;
    for (const { text, label } of file) {
      if (text !== rows[row]!.text || label !== rows[row]!.label) throw new Error(`row ${row}`);
      row++;
    }
    strictEqual(file.at(-1)!.text.length, 3 * 2 ** 20);
    strictEqual(file.at(200_002), undefined);
  });
});

Deno.test("ExampleFile gives some rows, with other labels", async () => {
  const rows = ["a", "b", "c", "d"].map((text, i) => ({ text, label: `${i % 2}` }));
  await withRows(rows, (file) => {
    const named = withLabels(file, (label) => label === "0" ? "even" : "odd");
    const some = selectExamples(named, [3, 0]);
    deepStrictEqual([...some], [{ text: "d", label: "odd" }, { text: "a", label: "even" }]);
    deepStrictEqual([...selectExamples(some, [1])], [{ text: "a", label: "even" }]);
  });
});

Deno.test("ExampleFile says that its file was cut", async () => {
  await withRows([{ text: "a text", label: "a" }], (file) => {
    Deno.truncateSync(file.path, 3);
    throws(() => file.at(0), { name: "UserError", message: /: it has become shorter$/ });
  });
});
