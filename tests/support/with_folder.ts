/**
 * A folder for one test.
 *
 * @module
 */
import { dirname, join } from "node:path";

/** Runs a test in a folder of its own, with files by path within it. */
export async function withFolder(
  files: Record<string, string>,
  test: (dir: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    for (const [path, content] of Object.entries(files)) {
      await Deno.mkdir(dirname(join(dir, path)), { recursive: true });
      await Deno.writeTextFile(join(dir, path), content);
    }
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}
