import { deepStrictEqual, rejects } from "node:assert";
import { join } from "node:path";
import fc from "fast-check";
import { TokenFile, TokenFileWriter } from "./token_file.ts";

const rows = fc.array(fc.array(fc.integer({ min: 0, max: 2 ** 32 - 1 }), { maxLength: 50 }), {
  maxLength: 40,
});

Deno.test("TokenFile gives each row that was written, in any order", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await fc.assert(
      fc.asyncProperty(rows, async (rows) => {
        const path = join(dir, "tokens");
        await using writer = await TokenFileWriter.create(path);
        for (const row of rows) await writer.add(row);
        await writer.finish();
        using file = await TokenFile.open(path);
        deepStrictEqual(file.lengths, rows.map(({ length }) => length));
        for (const index of [...rows.keys()].reverse()) {
          deepStrictEqual(file.row(index), rows[index]);
        }
      }),
      { numRuns: 30 },
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("TokenFileWriter leaves nothing behind that is not finished", async () => {
  const dir = await Deno.makeTempDir();
  try {
    {
      await using writer = await TokenFileWriter.create(join(dir, "tokens"));
      await writer.add([1, 2, 3]);
    }
    deepStrictEqual(await Array.fromAsync(Deno.readDir(dir)), []);
    await rejects(TokenFile.open(join(dir, "tokens")), Deno.errors.NotFound);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
