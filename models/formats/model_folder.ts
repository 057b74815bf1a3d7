/**
 * The folder of a model, which may come from anyone: all that is read of it is its own.
 *
 * @module
 */
import { basename, dirname, join, relative } from "node:path";
import { isSystemError } from "../../lib/files.ts";
import { UserError } from "../../lib/user_error.ts";

/** The files that models are read from, and the folders that such files are in. */
const PARTS = /\.(json|safetensors|onnx|txt)$|^(onnx|1_Pooling)$/;

/**
 * Checks that no link leads out of a model's folder, by which a model could show what is in files of
 * the machine. The cache of the hub keeps a model's files in `blobs/`, beside its `snapshots/`.
 *
 * @throws {UserError} If one does.
 */
export async function checkLinks(dir: string): Promise<void> {
  const inside = await realPath(dir);
  if (inside === undefined) return;
  const isSnapshot = basename(dirname(inside)) === "snapshots";
  const root = isSnapshot ? dirname(dirname(inside)) : inside;
  for (const folder of [inside, join(inside, "onnx"), join(inside, "1_Pooling")]) {
    for (const { name, isSymlink } of await entries(folder)) {
      if (!isSymlink || !PARTS.test(name)) continue;
      const path = join(folder, name);
      const target = await realPath(path);
      // Who reads one that leads to nothing says so.
      if (target === undefined && !await isLoop(path)) continue;
      if (target !== undefined && !/^\.\.(\/|\\|$)/.test(relative(root, target))) continue;
      throw new UserError(
        `Cannot read '${path}': a link in a model's folder must lead to a file of that folder; ` +
          "put a copy of the file in its place",
      );
    }
  }
}

/** Where a path leads; `undefined` if to nothing. */
async function realPath(path: string): Promise<string | undefined> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}

/** Whether a link leads back to itself, or to what cannot be looked at. */
async function isLoop(path: string): Promise<boolean> {
  return await Deno.stat(path).then(
    () => false,
    (error) => !(error instanceof Deno.errors.NotFound),
  );
}

/** What is in a folder; nothing if there is none. */
async function entries(dir: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(dir));
  } catch (error) {
    if (isSystemError(error)) return [];
    throw error;
  }
}
