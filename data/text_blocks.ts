/**
 * Reads files of text in UTF-8 piece by piece, in little memory. Faults name the file and the line.
 *
 * @module
 */
import { isSystemError } from "../lib/files.ts";
import { UserError } from "../lib/user_error.ts";

/** A line, or a row of several, that is longer is a fault of the file, as a quote that never ends. */
export const MAX_LINE_BYTES = 2 ** 24;
const BLOCK_BYTES = 2 ** 20;
const NEWLINE = 0x0a;

/** The error of a file that cannot be read: the file, the line where it is known, the rule. */
export function readError(file: string, rule: string, line?: number): UserError {
  return new UserError(
    `Cannot read '${file}'${line === undefined ? "" : ` line ${line}`}: ${rule}`,
  );
}

/**
 * Whole lines of a file at a time, decoded, without a byte-order mark.
 *
 * @param onBytes Called with each piece of the file as it is read.
 * @throws {UserError} If the file cannot be read, is not UTF-8, or has a line of more than 16 MiB.
 */
export async function* textBlocks(
  file: string,
  onBytes: (bytes: Uint8Array) => void = () => {},
): AsyncGenerator<string> {
  using source = await openTextFile(file);
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let firstLine = 1;
  const decode = (bytes: Uint8Array) => {
    try {
      const text = decoder.decode(bytes);
      const isStart = firstLine === 1 && text.startsWith("\uFEFF");
      firstLine += countNewlines(bytes);
      return isStart ? text.slice(1) : text;
    } catch {
      throw readError(file, "it is not UTF-8 text", firstLine + lineOfFault(bytes));
    }
  };
  // Cut at line ends, so that no character is cut and a fault has a line.
  let rest = new Uint8Array(0);
  const buffer = new Uint8Array(BLOCK_BYTES);
  for (let size; (size = await named(file, source.read(buffer))) !== null;) {
    const bytes = buffer.subarray(0, size);
    onBytes(bytes);
    const end = bytes.lastIndexOf(NEWLINE) + 1;
    if (end === 0 && rest.length + size > MAX_LINE_BYTES) {
      throw readError(file, "the line is longer than 16 MiB", firstLine);
    }
    if (end > 0) yield decode(concat(rest, bytes.subarray(0, end)));
    rest = end > 0 ? bytes.slice(end) : concat(rest, bytes);
  }
  if (rest.length > 0) yield decode(rest);
}

/**
 * Opens a file for reading.
 *
 * @throws {UserError} If it is missing, a folder, or not to be read.
 */
export async function openTextFile(file: string): Promise<Deno.FsFile> {
  const source = await named(file, Deno.open(file));
  if (!(await source.stat()).isDirectory) return source;
  source.close();
  throw readError(file, "it is a folder");
}

async function named<T>(file: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw readError(file, "no such file");
    if (error instanceof Deno.errors.NotADirectory) throw readError(file, "no such file");
    if (!isSystemError(error)) throw error;
    throw readError(file, error.message);
  }
}

/** How many lines of a piece come before the one that is not UTF-8. */
function lineOfFault(bytes: Uint8Array): number {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  for (let line = 0, start = 0;; line++) {
    const end = bytes.indexOf(NEWLINE, start);
    try {
      decoder.decode(bytes.subarray(start, end < 0 ? bytes.length : end));
    } catch {
      return line;
    }
    start = end + 1;
  }
}

function countNewlines(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count++;
  return count;
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
