import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert";
import { join } from "node:path";
import { isHeldOut, readLines } from "./text_files.ts";

Deno.test("readLines() gives the lines of all files, without blank ones and spaces around", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const files = [join(dir, "a.txt"), join(dir, "b.txt")];
    await Deno.writeTextFile(files[0]!, "one\r\n\n  two \n\t\nthree");
    await Deno.writeTextFile(files[1]!, "vier äöü\n");
    deepStrictEqual(await Array.fromAsync(readLines(files)), ["one", "two", "three", "vier äöü"]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("readLines() names a file that is missing", async () => {
  await rejects(Array.fromAsync(readLines(["/nowhere/x.txt"])), {
    message: "Cannot read '/nowhere/x.txt': no such file",
  });
});

Deno.test("isHeldOut() holds out about the share, and always the same texts", () => {
  const texts = Array.from({ length: 20_000 }, (_, i) => `text ${i}`);
  const heldOut = texts.filter((text) => isHeldOut(text, 0.1));
  ok(Math.abs(heldOut.length - 2000) < 150, `${heldOut.length} of 20,000`);
  ok(heldOut.every((text) => isHeldOut(text, 0.1)));
  strictEqual(texts.filter((text) => isHeldOut(text, 0)).length, 0);
});
