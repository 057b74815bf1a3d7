/**
 * The folder of a model, which may come from anyone: only its own files are read.
 *
 * @module
 */
import { hash } from "node:crypto";
import { basename, dirname, join, relative } from "node:path";
import { crc32 } from "node:zlib";
import { checkRegular, isSystemError, realPath } from "../../lib/files.ts";
import { UserError } from "../../lib/user_error.ts";

/** The files that a model is read from, and the folders of such files. */
const PARTS = /\.(json|safetensors|onnx|txt)$|^(onnx|1_Pooling)$/;

/**
 * Checks that no link leads out of a model's folder, as a model could thereby reveal files of the
 * machine. The hub's cache keeps a model's files in `blobs/`, beside its `snapshots/`.
 *
 * @throws {UserError} If a link does.
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
      // A reader of a link that leads to nothing reports it.
      if (target === undefined && !await isLoop(path)) continue;
      if (target !== undefined && !/^\.\.(\/|\\|$)/.test(relative(root, target))) continue;
      throw new UserError(
        `Cannot read '${path}': a link in a model's folder must lead to a file of that folder; ` +
          "put a copy of the file in its place",
      );
    }
  }
}

/** The files that tell a model from others. */
const IDENTITY_FILES = [
  "config.json",
  "adapter_config.json",
  "metrics.json",
  "model.safetensors",
  "model.safetensors.index.json",
  "adapter_model.safetensors",
  "onnx/model.onnx",
];
/** The length of each end of a file; of longer files only the two ends count. */
const END_BYTES = 2 ** 16;
/** The length of an identity; those that earlier versions of Graft made are longer. */
export const IDENTITY_LENGTH = 32;

/**
 * A digest that tells a model from others that were in its folder before it: of small files, and of
 * the ends of large ones, as training changes all weights of a head. File times are no part of it.
 * It is no proof against forgery.
 *
 * @throws {UserError} If one of these files is not a regular file.
 */
export async function modelIdentity(dir: string): Promise<string> {
  // A server does this for many models. To list folders takes less time than to look for each file,
  // a checksum takes a tenth of the time of a hash, and an open file tells its size at once.
  const present = new Map<string, Deno.DirEntry>();
  for (const folder of ["", "onnx/"]) {
    for (const it of await entries(join(dir, folder))) present.set(folder + it.name, it);
  }
  const parts: string[] = [];
  for (const name of IDENTITY_FILES.filter((name) => present.has(name))) {
    const path = join(dir, name);
    if (!present.get(name)!.isFile) await checkRegular(path);
    using file = await Deno.open(path);
    const { size } = file.statSync();
    const block = new Uint8Array(Math.min(size, END_BYTES));
    const lastStart = size - block.length;
    await readInto(block, file);
    const first = crc32(block);
    if (lastStart > 0) {
      file.seekSync(lastStart, Deno.SeekMode.Start);
      await readInto(block, file);
    }
    const last = lastStart > 0 ? crc32(block) : first;
    parts.push(`${name} ${size} ${first} ${last}`);
  }
  return hash("sha256", parts.join("\n")).slice(0, IDENTITY_LENGTH);
}

/** Fills a block with the next bytes of a file, as far as there are any. */
async function readInto(block: Uint8Array, file: Deno.FsFile): Promise<void> {
  for (let read = 0, count; read < block.length; read += count) {
    count = await file.read(block.subarray(read)) ?? block.length - read;
  }
}

/** Whether a link leads back to itself, or to a place that may not be read. */
async function isLoop(path: string): Promise<boolean> {
  return await Deno.stat(path).then(
    () => false,
    (error) => !(error instanceof Deno.errors.NotFound),
  );
}

/** The entries of a folder; none if there is no such folder. */
async function entries(dir: string): Promise<Deno.DirEntry[]> {
  try {
    return await Array.fromAsync(Deno.readDir(dir));
  } catch (error) {
    if (isSystemError(error)) return [];
    throw error;
  }
}
