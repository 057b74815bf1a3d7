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
import { ADAPTER_CONFIG_FILE } from "./adapter_files.ts";
import { CONFIG_FILE } from "./config.ts";

/** The files that a model is read from. */
const FILES = /\.(json|safetensors|onnx|txt)$/;
/** The folders of such files. */
const FOLDERS = ["onnx", "1_Pooling"];

/**
 * Checks that no link leads out of a model's folder, as a model could thereby reveal files of the
 * machine. The hub's cache keeps a model's files in `blobs/`, beside its `snapshots/`.
 *
 * @throws {UserError} If a link does.
 */
export async function checkLinks(dir: string): Promise<void> {
  let root: string | undefined;
  for await (const { path: part, isSymlink } of partsIn(dir)) {
    if (!isSymlink) continue;
    root ??= await rootOf(dir);
    const path = join(dir, part);
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

/** The folder out of which no link of a model may lead. */
async function rootOf(dir: string): Promise<string> {
  const inside = await realPath(dir) ?? dir;
  return basename(dirname(inside)) === "snapshots" ? dirname(dirname(inside)) : inside;
}

/** The files that tell a model from others. */
const IDENTITY_FILES = [
  CONFIG_FILE,
  ADAPTER_CONFIG_FILE,
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

/** A model as it is told from others. */
export interface ModelIdentity {
  /**
   * A digest of small files, and of the ends of large ones, as training changes all weights of a
   * head. File times are no part of it. It is no proof against forgery.
   */
  identity: string;
  /** Which of {@link IDENTITY_FILES} there are. */
  files: readonly string[];
  /** Whether one of the model's files or folders is a link. */
  hasLinks: boolean;
}

/**
 * Tells a model from others that were in its folder before it.
 *
 * @throws {UserError} If one of these files is not a regular file.
 */
export async function modelIdentity(dir: string): Promise<ModelIdentity> {
  // A server does this for many models. To list folders takes less time than to look for each file,
  // a checksum takes a tenth of the time of a hash, and an open file tells its size at once.
  const present = new Map<string, Part>();
  let hasLinks = false;
  for await (const part of partsIn(dir)) {
    present.set(part.path, part);
    hasLinks ||= part.isSymlink;
  }
  const files = IDENTITY_FILES.filter((name) => present.has(name));
  const parts: string[] = [];
  for (const name of files) {
    const path = join(dir, name);
    if (!present.get(name)!.isFile) await checkRegular(path);
    using file = await Deno.open(path);
    const { size } = file.statSync();
    using taken = takeBlock();
    const block = taken.bytes.subarray(0, size);
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
  const identity = hash("sha256", parts.join("\n")).slice(0, IDENTITY_LENGTH);
  return { identity, files, hasLinks };
}

/** Blocks for the ends of files that are free: fresh memory takes as long as the reading. */
const freeBlocks: Uint8Array<ArrayBuffer>[] = [];

/** A block of {@link END_BYTES}, until it is disposed of. */
function takeBlock(): { bytes: Uint8Array<ArrayBuffer> } & Disposable {
  const bytes = freeBlocks.pop() ?? new Uint8Array(END_BYTES);
  return { bytes, [Symbol.dispose]: () => void freeBlocks.push(bytes) };
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

/** A part of a model's folder: a file, a folder, or a link to either. */
interface Part {
  /** Its path in the model's folder. */
  path: string;
  isFile: boolean;
  isSymlink: boolean;
}

/** Yields the parts of a model's folder, and a folder before what is in it. */
async function* partsIn(dir: string): AsyncGenerator<Part> {
  for (const { name, isFile, isSymlink } of await entries(dir)) {
    const isFolder = FOLDERS.includes(name);
    if (isFolder || FILES.test(name)) yield { path: name, isFile, isSymlink };
    if (!isFolder) continue;
    for (const { name: file, ...kind } of await entries(join(dir, name))) {
      if (FILES.test(file)) yield { path: `${name}/${file}`, ...kind };
    }
  }
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
