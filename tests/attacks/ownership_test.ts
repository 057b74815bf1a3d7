/**
 * A folder and a state that have several names, or whose locks somebody has removed.
 *
 * @module
 */
import { match, rejects } from "node:assert";
import { join } from "node:path";
import { lockState, OwnedFolder } from "../../orchestration/server_state.ts";

Deno.test("a folder has one owner, by whatever name it goes and whatever is removed from it", async () => {
  const parent = await Deno.makeTempDir();
  try {
    const dir = join(parent, "runs");
    using folder = await OwnedFolder.take(dir);
    await folder.tell("http://127.0.0.1:1234");
    const link = join(parent, "link");
    await Deno.symlink(dir, link);
    for (const name of [dir, link, `${dir}/../runs/`]) {
      await rejects(OwnedFolder.take(name), /: the server at http:\/\/127\.0\.0\.1:1234 uses it; /);
    }
    for await (const { name } of Deno.readDir(dir)) await Deno.remove(join(dir, name));
    await rejects(OwnedFolder.take(dir), (error: Error) => {
      match(error.message, /: another server uses it; ask that one, or stop it/);
      return true;
    });
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
});

Deno.test("a state has one owner, by whatever link it goes", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const kv = join(dir, "state.kv");
    {
      using _lock = await lockState(kv);
      await Deno.writeTextFile(kv, "");
      await Deno.symlink(kv, join(dir, "link.kv"));
      await rejects(lockState(join(dir, "link.kv")), /link\.kv': another server uses it$/);
    }
    using _again = await lockState(join(dir, "link.kv"));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
