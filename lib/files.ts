/**
 * Files that are either complete or absent.
 *
 * @module
 */
import { dirname, join } from "node:path";
import type { z } from "zod";
import { messageOf } from "./format.ts";
import { UserError } from "./user_error.ts";

/**
 * Writes a file aside and renames it, so that nobody sees half a file, even after a kill.
 *
 * @param content The whole content, or its parts as they come; if these fail, no file is left.
 * @param partial The path of the file until it is complete.
 * @throws {UserError} If the file cannot be written, for example on a full disk.
 */
export async function writeFileAtomically(
  path: string,
  content: string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  partial = `${path}.partial`,
): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  await using file = await PartialFile.create(path, partial);
  if (bytes instanceof Uint8Array) await file.write(bytes);
  else for await (const block of inBlocks(bytes)) await file.write(block);
  await file.publish();
}

const BLOCK_BYTES = 2 ** 20;

/** Bytes in larger parts, as each write costs a message to another thread. */
async function* inBlocks(
  parts: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const block = new Uint8Array(BLOCK_BYTES);
  let size = 0;
  for await (let part of parts) {
    while (size + part.length >= BLOCK_BYTES) {
      block.set(part.subarray(0, BLOCK_BYTES - size), size);
      part = part.subarray(BLOCK_BYTES - size);
      size = 0;
      yield block;
    }
    block.set(part, size);
    size += part.length;
  }
  yield block.subarray(0, size);
}

/** The disk is full. */
export class DiskFullError extends UserError {
  override name = "DiskFullError";
}

/** Whether the operating system or a database reports a full disk. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof DiskFullError ||
    error instanceof Error && (
        "code" in error && /^(ENOSPC|EDQUOT)$/.test(String(error.code)) ||
        /database or disk is full/.test(error.message)
      );
}

/** Whether the operating system refused an operation, such as a write to a full disk. */
export function isSystemError(error: unknown): error is Error {
  return error instanceof Deno.errors.NotCapable ||
    error instanceof Error && "code" in error && /^E[A-Z]+$/.test(String(error.code));
}

/**
 * A file that is written aside in pieces, and gets its name when it is complete. Disposing of it
 * earlier removes it. The system's errors become a {@link UserError} with the file's name.
 */
export class PartialFile implements AsyncDisposable {
  readonly #path: string;
  readonly #partial: string;
  readonly #file: Deno.FsFile;
  #isClosed = false;
  #isPublished = false;

  private constructor(path: string, partial: string, file: Deno.FsFile) {
    this.#path = path;
    this.#partial = partial;
    this.#file = file;
  }

  /** Starts a file for `path`, which is at `partial` until it is complete. */
  static async create(path: string, partial = `${path}.partial`): Promise<PartialFile> {
    const options = { write: true, create: true, truncate: true };
    const file = await named(path, Deno.open(partial, options));
    return new PartialFile(path, partial, file);
  }

  /** Appends bytes to the file. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let written = 0; written < bytes.length;) {
      written += await named(this.#path, this.#file.write(bytes.subarray(written)));
    }
  }

  /** Gives the file its final name. */
  async publish(): Promise<void> {
    await named(this.#path, this.#file.sync());
    this.#close();
    await named(this.#path, Deno.rename(this.#partial, this.#path));
    this.#isPublished = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close();
    if (!this.#isPublished) await Deno.remove(this.#partial).catch(() => {});
  }

  #close(): void {
    if (!this.#isClosed) this.#file.close();
    this.#isClosed = true;
  }
}

async function named<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!isSystemError(error)) throw error;
    const Reason = isDiskFull(error) ? DiskFullError : UserError;
    throw new Reason(`Cannot write '${path}': ${error.message}`, { cause: error });
  }
}

/**
 * Writes a file that only saves work the next time, like {@link writeFileAtomically}; does nothing
 * if that is not allowed or fails.
 */
export async function writeWhereAllowed(path: string, content: string | Uint8Array): Promise<void> {
  const { state } = await Deno.permissions.query({ name: "write", path });
  if (state !== "granted") return;
  try {
    await Deno.mkdir(dirname(path), { recursive: true });
    await writeFileAtomically(path, content);
  } catch (error) {
    if (!(error instanceof UserError) && !isSystemError(error)) throw error;
  }
}

/** Writes a value as indented JSON, like {@link writeFileAtomically}. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFileAtomically(path, JSON.stringify(value, null, 2) + "\n");
}

/** The start of the pointer that Git LFS leaves in the place of a file. */
export const LFS_START = "version https://git-lfs";

/** The rule that a file breaks if it is a pointer left by Git LFS. */
export const LFS_FAULT =
  "it is the pointer that Git LFS leaves in the place of a file; fetch the file itself by " +
  "'git lfs pull' in its folder";

/**
 * Reads a JSON file and checks it.
 *
 * @throws {UserError} If it is missing, is not JSON or breaks a rule of the schema; the message
 * names the key.
 */
export async function readJson<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
): Promise<z.infer<Schema>> {
  let json: unknown;
  let text = "";
  await checkRegular(path);
  try {
    // Windows' editor writes a byte-order mark.
    text = (await Deno.readTextFile(path)).replace(/^\uFEFF/, "");
    json = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw new UserError(`Cannot read '${path}': ${faultOfText(text)}`);
    }
    if (error instanceof Deno.errors.NotFound) {
      throw new UserError(`Cannot read '${path}': no such file`);
    }
    throw error;
  }
  return checkJson(path, json, schema);
}

/** The rule that a text breaks if it is not JSON, for example the remains of a failed download. */
function faultOfText(text: string): string {
  if (text.startsWith(LFS_START)) return LFS_FAULT;
  if (/^\s*<(!doctype|html)/i.test(text)) return "it is a web page; download the file itself";
  return "it is not JSON";
}

/**
 * Checks the content of a JSON file.
 *
 * @throws {UserError} If it breaks a rule of the schema; the message names the file and the key.
 */
export function checkJson<Schema extends z.ZodType>(
  path: string,
  json: unknown,
  schema: Schema,
): z.infer<Schema> {
  const result = parsed(path, json, schema);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const { path: keys } = issue;
  const place = keys.length === 0 ? "" : `'${keys.join(".")}' `;
  throw new UserError(`Cannot read '${path}': ${place}${ruleOf(issue, json)}`);
}

/** The longest value that an error shows. */
const MAX_SHOWN = 50;

/** The rule that a value breaks: in zod's words, or in one's own where only some values are taken. */
function ruleOf(issue: z.core.$ZodIssue, json: unknown): string {
  if (issue.code !== "invalid_value" || !issue.message.startsWith("Invalid")) return issue.message;
  const value = issue.path.reduce<unknown>(
    (holder, key) => (holder as Record<PropertyKey, unknown> | undefined)?.[key],
    json,
  );
  const shown = value === undefined ? "nothing" : JSON.stringify(value).slice(0, MAX_SHOWN);
  return `must be ${issue.values.map((it) => JSON.stringify(it)).join(" or ")}, got ${shown}`;
}

function parsed<Schema extends z.ZodType>(path: string, json: unknown, schema: Schema) {
  try {
    return schema.safeParse(json);
  } catch (error) {
    // The stack overflowed.
    if (!(error instanceof RangeError)) throw error;
    throw new UserError(`Cannot read '${path}': its values are nested too deep`);
  }
}

/** Removes those of the files that exist in a folder. */
export async function removeFiles(dir: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    if (await exists(join(dir, name))) await Deno.remove(join(dir, name));
  }
}

/** Removes a folder with its content, if it exists. */
export async function removeFolder(dir: string): Promise<void> {
  if (await exists(dir)) await Deno.remove(dir, { recursive: true });
}

/**
 * Refuses anything but regular files: reading a pipe or a device may take forever.
 *
 * @throws {UserError} If the path is not a regular file, or cannot be reached.
 */
export async function checkRegular(path: string): Promise<void> {
  let isDirectory: boolean;
  try {
    const info = await Deno.stat(path);
    if (info.isFile) return;
    ({ isDirectory } = info);
  } catch (error) {
    // Opening the file reports this.
    if (error instanceof Deno.errors.NotFound) return;
    throw new UserError(`Cannot read '${path}': ${messageOf(error)}`);
  }
  const found = isDirectory ? "a folder" : "not a regular file";
  throw new UserError(`Cannot read '${path}': it is ${found}`);
}

/** Whether a file or folder exists. */
export async function exists(path: string): Promise<boolean> {
  return await fileInfo(path) !== undefined;
}

/** The size, times and kind of a file or folder; `undefined` if there is none. */
export async function fileInfo(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (error instanceof Deno.errors.NotADirectory) return undefined;
    throw error;
  }
}

/** The place that a path leads to, behind all links; `undefined` if it leads nowhere. */
export async function realPath(path: string): Promise<string | undefined> {
  try {
    return await Deno.realPath(path);
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}

/** As {@link realPath}, at once; a path that leads nowhere stays as it is. */
export function realPathSync(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    return path;
  }
}
