import { deepStrictEqual } from "node:assert";
import fc from "fast-check";
import { textLines } from "./job.ts";

Deno.test("textLines() gives lines of JSON as they were written, however they are cut", async () => {
  const messages = fc.array(fc.string({ unit: "grapheme" }), { maxLength: 5 });
  const separators = fc.constantFrom("\u2028", "\u2029", "\u0085", "\r");
  await fc.assert(
    fc.asyncProperty(
      messages,
      separators,
      fc.integer({ min: 1, max: 9 }),
      async (all, odd, size) => {
        const lines = [...all, `a${odd}b`].map((text) => JSON.stringify({ text }));
        const bytes = new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""));
        const chunks = Array.from(
          { length: Math.ceil(bytes.length / size) },
          (_, i) => bytes.subarray(i * size, (i + 1) * size),
        );
        deepStrictEqual(await Array.fromAsync(textLines(ReadableStream.from(chunks))), lines);
      },
    ),
  );
});
