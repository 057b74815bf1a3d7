/**
 * Deno's permissions as flags, for processes that this program starts.
 *
 * @module
 */
import { basename, dirname, join, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The permission to read or write some files and folders, or to load native code there; none where
 * there is no path. Deno separates paths by commas, and allows none in a path: for such a path, all
 * files are allowed.
 */
export function pathPermission(name: "read" | "write" | "ffi", paths: readonly string[]): string[] {
  if (paths.some((path) => path.includes(","))) return [`--allow-${name}`];
  // A flag for each, as Linux limits the length of one word.
  return [...new Set(paths)].map((path) => `--allow-${name}=${path}`);
}

/** A path, and the one that it leads to behind all links: Deno asks about either. */
export function withTarget(path: string): string[] {
  const whole = resolve(path);
  return [whole, targetOf(whole)];
}

/** The place that a path leads to, or will once it has been made. */
function targetOf(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    const dir = dirname(path);
    return dir === path ? path : join(targetOf(dir), basename(path));
  }
}

/** The folder of the npm packages, some of which read files of their own. */
export function packagesDir(): string {
  const path = fileURLToPath(import.meta.resolve("onnxruntime-web"));
  return path.slice(0, path.lastIndexOf(join(sep, "onnxruntime-web", sep)));
}

/** The environment variables that Deno itself and the driver of a device read. */
export const SYSTEM_VARIABLES: readonly string[] = [
  "PATH",
  "DENO_DIR",
  "DENO_V8_FLAGS",
  "DENO_WEBGPU_BACKEND",
  "TMPDIR",
  "SystemRoot",
];
