import { deepStrictEqual } from "node:assert";
import { join } from "node:path";
import { lastCheckpoint } from "./checkpoints.ts";

Deno.test("lastCheckpoint() gives the one of most steps, and none that is not whole", async () => {
  const dir = await Deno.makeTempDir();
  try {
    deepStrictEqual(await lastCheckpoint(dir), undefined);
    for (const name of ["checkpoint-9", "checkpoint-10", "checkpoint-11.partial", "other-99"]) {
      await Deno.mkdir(join(dir, "checkpoints", name), { recursive: true });
    }
    deepStrictEqual(await lastCheckpoint(dir), join(dir, "checkpoints", "checkpoint-10"));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
