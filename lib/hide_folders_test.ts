import { strictEqual } from "node:assert";
import { join } from "node:path";
import { folderHider } from "./hide_folders.ts";

Deno.test("folderHider() leaves of a path what is below a folder", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const runs = join(dir, "runs");
    const link = join(dir, "link");
    await Deno.mkdir(runs);
    await Deno.symlink(runs, link);
    const hide = folderHider([link]);
    strictEqual(hide(`Cannot read '${runs}/a/config.json'`), "Cannot read 'a/config.json'");
    strictEqual(hide(`open '${link}/a' and '${runs}/b'`), "open 'a' and 'b'");
    strictEqual(hide(`${runs} is full`), "runs is full");
    strictEqual(hide(`at ${import.meta.url}`), "at file://lib/hide_folders_test.ts");
    strictEqual(hide("GET /v1/runs"), "GET /v1/runs");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
