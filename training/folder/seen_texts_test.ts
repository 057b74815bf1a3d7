import { deepStrictEqual, rejects } from "node:assert";
import { join } from "node:path";
import { readSeenTexts, writeSeenTexts } from "./seen_texts.ts";

Deno.test("readSeenTexts() knows what was written, and nothing else", async () => {
  const dir = await Deno.makeTempDir();
  deepStrictEqual(await readSeenTexts(dir), undefined);
  await writeSeenTexts(dir, ["a duet", "", "a duet", "Straße"]);
  const texts = (await readSeenTexts(dir))!;
  const asked = ["a duet", "", "Straße", "A duet", "strasse"];
  deepStrictEqual(asked.map((text) => texts.has(text)), [true, true, true, false, false]);
  // Two equal texts take the room of one.
  deepStrictEqual((await Deno.stat(join(dir, "training_texts.bin"))).size, 24);
  await Deno.writeTextFile(join(dir, "training_texts.bin"), "abc");
  await rejects(readSeenTexts(dir), { name: "UserError", message: /training_texts\.bin'.*3/ });
  await Deno.remove(dir, { recursive: true });
});
