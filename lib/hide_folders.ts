/**
 * Messages for clients, which must not reveal where the server keeps its files.
 *
 * @module
 */
import { basename, dirname, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { realPathSync } from "./files.ts";
import { packagesDir } from "./permissions.ts";

/** Makes paths in a message relative to the folder of this program that they are in. */
export type HideFolders = (message: string) => string;

const PROGRAM_DIR = fileURLToPath(new URL("..", import.meta.url));

/** Hides these folders, and always those of the program, its packages and the process. */
export function folderHider(folders: readonly string[]): HideFolders {
  const dirs = [...folders, PROGRAM_DIR, packagesDir(), "."].map((dir) => resolve(dir));
  const hidden = [...new Set(dirs.flatMap((dir) => [dir, realPathSync(dir)]))]
    .filter((dir) => dir !== dirname(dir))
    .sort((a, b) => b.length - a.length);
  return (message) =>
    hidden.reduce(
      (text, dir) => text.replaceAll(dir + sep, "").replaceAll(dir, basename(dir)),
      message,
    );
}
