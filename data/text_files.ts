/**
 * Files of plain text without labels, one text a line, of any size: they are read as a stream.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { exists } from "./files.ts";
import { UserError } from "./user_error.ts";

/**
 * The lines of files, one file after the other, without those that are blank.
 *
 * @throws {UserError} If a file cannot be read.
 */
export async function* readLines(files: readonly string[]): AsyncGenerator<string> {
  for (const file of files) {
    await checkTextFile(file);
    const input = createReadStream(file, { encoding: "utf8" });
    try {
      for await (const line of createInterface({ input, crlfDelay: Infinity })) {
        const text = line.trim();
        if (text !== "") yield text;
      }
    } finally {
      // Where nobody wants the other lines.
      input.destroy();
    }
  }
}

/** @throws {UserError} If a file is not there, or is a folder. */
export async function checkTextFile(file: string): Promise<void> {
  if (!await exists(file)) throw new UserError(`Cannot read '${file}': no such file`);
  if ((await Deno.stat(file)).isDirectory) throw new UserError(`Cannot read '${file}': a folder`);
}

/**
 * Whether a text belongs to those that are kept apart for measuring: a function of the text alone,
 * so that one which comes again is on the same side.
 *
 * @param share How many of all texts are, from 0 to 1.
 */
export function isHeldOut(text: string, share: number): boolean {
  const digest = createHash("sha256").update(text).digest();
  return digest.readUInt32BE(0) < share * 2 ** 32;
}
