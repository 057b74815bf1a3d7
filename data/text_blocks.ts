/**
 * Reads files of text piece by piece, in little memory. Faults name the file and the line.
 *
 * @module
 */
import { checkRegular, isSystemError, LFS_FAULT, LFS_START } from "../lib/files.ts";
import { UserError } from "../lib/user_error.ts";

/** The longest line, or row of several; more is a fault of the file, as a quote that never ends. */
export const MAX_LINE_BYTES = 2 ** 24;
const BLOCK_BYTES = 2 ** 20;
const NEWLINE = 0x0a;

/** The error of a file that cannot be read: the file, the line where it is known, the rule. */
export function readError(file: string, rule: string, line?: number): UserError {
  return new UserError(
    `Cannot read '${file}'${line === undefined ? "" : ` line ${line}`}: ${rule}`,
  );
}

/** Options of {@link textBlocks}. */
export interface TextBlocksOptions {
  /**
   * The encoding, by its name in the WHATWG Encoding Standard, such as `windows-1252`; by default
   * UTF-8. A byte-order mark takes precedence.
   */
  encoding?: string | undefined;
  /** Whether the user can name another encoding by `--encoding`, as errors then say. */
  canNameEncoding?: boolean;
  /** Called with each piece of the file as it is read. */
  onBytes?: (bytes: Uint8Array) => void;
}

/**
 * Reads whole lines of a file at a time, decoded, without a byte-order mark.
 *
 * @throws {UserError} If the file cannot be read, is not in its encoding, or has a line of more than
 * 16 MiB.
 */
export async function* textBlocks(
  file: string,
  { encoding, canNameEncoding = false, onBytes = () => {} }: TextBlocksOptions = {},
): AsyncGenerator<string> {
  const given = encoding === undefined ? "utf-8" : decoderOf(encoding).encoding;
  using source = await openTextFile(file);
  let decoder: TextDecoder | undefined;
  let firstLine = 1;
  const decode = (bytes: Uint8Array) => {
    const isStart = decoder === undefined;
    decoder ??= decoderOf(markedEncoding(bytes) ?? given);
    if (isStart) checkKind(file, bytes);
    const text = decoded(bytes, decoder);
    const utf16 = isStart && decoder.encoding === "utf-8" ? unmarkedUtf16(bytes, text) : undefined;
    if (utf16 !== undefined) {
      const way = canNameEncoding ? `try --encoding ${utf16}` : "save it as UTF-8";
      throw readError(file, `it seems to be UTF-16 without a mark; ${way}`);
    }
    if (text === undefined) {
      const line = firstLine + lineOfFault(bytes, decoder);
      const isUtf8 = decoder.encoding === "utf-8";
      const hint = canNameEncoding ? ENCODING_HINT : "";
      const rule = isUtf8 ? `it is not UTF-8 text${hint}` : `it is not text in ${decoder.encoding}`;
      throw readError(file, rule, line);
    }
    firstLine += lineFeedsIn(text);
    return isStart && text.startsWith("\uFEFF") ? text.slice(1) : text;
  };
  // Cut at line ends, so that no character is cut and a fault has a line.
  let rest = new Uint8Array(0);
  // A pipe has no size.
  const buffer = new Uint8Array(Math.min((await source.stat()).size || BLOCK_BYTES, BLOCK_BYTES));
  for (let size; (size = await named(file, source.read(buffer))) !== null;) {
    const read = buffer.subarray(0, size);
    onBytes(read);
    const bytes = concat(rest, read);
    const end = lastLineEnd(bytes, decoder?.encoding ?? markedEncoding(bytes) ?? given);
    if (end === 0 && bytes.length > MAX_LINE_BYTES) {
      throw readError(file, "the line is longer than 16 MiB", firstLine);
    }
    if (end > 0) yield decode(bytes.subarray(0, end));
    rest = bytes.slice(end);
  }
  if (rest.length > 0) yield decode(rest);
}

const ENCODING_HINT =
  "; try --encoding windows-1252, or windows-1251 for Cyrillic, gb18030 for Chinese, shift_jis for " +
  "Japanese or euc-kr for Korean, or save it as UTF-8";

/** The text of bytes; `undefined` where they are not in the decoder's encoding. */
function decoded(bytes: Uint8Array, decoder: TextDecoder): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

function decoderOf(encoding: string): TextDecoder {
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: true });
  } catch {
    throw new UserError(
      `Cannot use --encoding ${encoding}: expected a name such as utf-8, windows-1252 or utf-16le`,
    );
  }
}

/** The encoding that a byte-order mark means. */
function markedEncoding(bytes: Uint8Array): string | undefined {
  const [first, second, third] = bytes;
  if (first === 0xef && second === 0xbb && third === 0xbf) return "utf-8";
  if (first === 0xff && second === 0xfe) return "utf-16le";
  if (first === 0xfe && second === 0xff) return "utf-16be";
  return undefined;
}

/** The first bytes of files that are taken for tables and are none, with the message for each. */
const OTHER_KINDS: readonly (readonly [string, string])[] = [
  ["PK\x03\x04", "it is a ZIP archive, as Excel's workbooks are; save the table as CSV"],
  ["\xD0\xCF\x11\xE0", "it is a workbook of an older Excel; save the table as CSV"],
  ["\x1F\x8B", "it is compressed with gzip; unpack it first"],
  ["BZh9", "it is compressed with bzip2; unpack it first"],
  ["\xFD7zXZ", "it is compressed with xz; unpack it first"],
  ["\x28\xB5\x2F\xFD", "it is compressed with zstd; unpack it first"],
  ["PAR1", "it is a Parquet file; save the table as CSV"],
  ["ARROW1", "it is an Arrow or Feather file; save the table as CSV"],
  ["SQLite format 3", "it is a SQLite database; save the table as CSV"],
  ["%PDF-", "it is a PDF; save the table as CSV"],
  ["<!DOCTYPE html", "it is a web page; download the file itself"],
  ["<html", "it is a web page; download the file itself"],
  ["<table", "it is HTML; save the table as CSV"],
  ["<?xml", "it is XML; save the table as CSV"],
  ["{\\rtf", "it is RTF; save the table as CSV"],
  [LFS_START, LFS_FAULT],
  ["\xFF\xFE\0\0", "it is UTF-32; save it as UTF-8"],
  ["\0\0\xFE\xFF", "it is UTF-32; save it as UTF-8"],
];
/** The number of bytes that tell the kind of a file. */
const KIND_BYTES = 24;

/** @throws {UserError} If the first bytes are not those of text in some encoding. */
function checkKind(file: string, bytes: Uint8Array): void {
  const start = String.fromCharCode(...bytes.subarray(0, KIND_BYTES));
  const lower = start.toLowerCase();
  const other = OTHER_KINDS.find(([magic]) => lower.startsWith(magic.toLowerCase()));
  if (other !== undefined) throw readError(file, other[1]);
}

/**
 * The kind of UTF-16 that the bytes of whole lines seem to be, by the zero beside each line feed;
 * `undefined` for other text. Other zeros tell nothing, as many characters of Chinese have one.
 *
 * @param text The bytes as UTF-8, if they are that, as most scripts' letters are not in UTF-16.
 */
function unmarkedUtf16(bytes: Uint8Array, text: string | undefined): string | undefined {
  if (text !== undefined && !text.includes("\0")) return undefined;
  let [little, big, others] = [0, 0, 0];
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) {
    // The bytes end after a 0x0A, whatever stands beside it.
    if (at === bytes.length - 1) break;
    if (isLineFeed(bytes, at, "utf-16le")) little++;
    else if (isLineFeed(bytes, at, "utf-16be")) big++;
    else others++;
  }
  // Damaged UTF-8 may have a zero beside some line feed.
  if (text !== undefined && others >= little + big) return undefined;
  if (little === big) return undefined;
  return little > big ? "utf-16le" : "utf-16be";
}

/**
 * Opens a file for reading.
 *
 * @throws {UserError} If it is missing, a folder, or cannot be read.
 */
export async function openTextFile(file: string): Promise<Deno.FsFile> {
  await checkRegular(file);
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

/** The number of lines of a piece before the one that cannot be decoded. */
function lineOfFault(bytes: Uint8Array, decoder: TextDecoder): number {
  let line = 0;
  for (let start = 0; start < bytes.length; line++) {
    const length = firstLineLength(bytes.subarray(start), decoder.encoding);
    try {
      decoder.decode(bytes.subarray(start, start + length));
    } catch {
      return line;
    }
    start += length;
  }
  return line;
}

/** The length of the first line, with its line feed; that of all bytes where there is none. */
function firstLineLength(bytes: Uint8Array, encoding: string): number {
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) {
    if (isLineFeed(bytes, at, encoding)) return at + (encoding === "utf-16le" ? 2 : 1);
  }
  return bytes.length;
}

/** The end of the last line feed, or 0. */
function lastLineEnd(bytes: Uint8Array, encoding: string): number {
  for (let at = bytes.lastIndexOf(NEWLINE); at >= 0; at = bytes.lastIndexOf(NEWLINE, at - 1)) {
    if (isLineFeed(bytes, at, encoding)) return at + (encoding === "utf-16le" ? 2 : 1);
    if (at === 0) break;
  }
  return 0;
}

/** Whether a byte 0x0A is that of a line feed; in UTF-16 it may be half of another character. */
function isLineFeed(bytes: Uint8Array, at: number, encoding: string): boolean {
  if (encoding === "utf-16le") return at % 2 === 0 && bytes[at + 1] === 0;
  return encoding !== "utf-16be" || at % 2 === 1 && bytes[at - 1] === 0;
}

function lineFeedsIn(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
