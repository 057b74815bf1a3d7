import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert";
import { join } from "node:path";
import { checkTextFile, isHeldOut, readLines } from "./text_files.ts";

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

for (
  const [fault, content, message] of [
    ["is not UTF-8", Uint8Array.of(0x61, 0x0a, 0xe9, 0x0a), / line 2: it is not UTF-8 text$/],
    ["has a long line", new Uint8Array(2 ** 24 + 1), / line 1: the line is longer than 16 MiB$/],
  ] as const
) {
  Deno.test(`readLines() refuses a file that ${fault}`, async () => {
    const file = await Deno.makeTempFile();
    try {
      await Deno.writeFile(file, content);
      await rejects(Array.fromAsync(readLines([file])), { name: "UserError", message });
    } finally {
      await Deno.remove(file);
    }
  });
}

for (
  const [what, file, message] of [
    ["is missing", "/nowhere/x.txt", "Cannot read '/nowhere/x.txt': no such file"],
    ["is a folder", "data", "Cannot read 'data': it is a folder"],
    ["the system refuses", "a".repeat(1000), /^Cannot read 'a+': .*name too long/],
  ] as const
) {
  Deno.test(`readLines() and checkTextFile() name a file that ${what}`, async () => {
    await rejects(Array.fromAsync(readLines([file])), { name: "UserError", message });
    await rejects(checkTextFile(file), { name: "UserError", message });
  });
}

Deno.test("isHeldOut() holds out about the share, and always the same texts", () => {
  const texts = Array.from({ length: 20_000 }, (_, i) => `text ${i}`);
  const heldOut = texts.filter((text) => isHeldOut(text, 0.1));
  ok(Math.abs(heldOut.length - 2000) < 150, `${heldOut.length} of 20,000`);
  ok(heldOut.every((text) => isHeldOut(text, 0.1)));
  strictEqual(texts.filter((text) => isHeldOut(text, 0)).length, 0);
});
