/**
 * Files of plain text without labels, one text a line, of any size: they are read as a stream.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { openTextFile, textBlocks } from "./text_blocks.ts";

/**
 * The lines of files, one file after the other, without those that are blank.
 *
 * @throws {UserError} If a file cannot be read, is not UTF-8, or has a line of more than 16 MiB.
 */
export async function* readLines(files: readonly string[]): AsyncGenerator<string> {
  for (const file of files) {
    for await (const block of textBlocks(file)) {
      for (const line of block.split(/[\r\n]/)) {
        const text = line.trim();
        if (text !== "") yield text;
      }
    }
  }
}

/** @throws {UserError} If a file is not there, is a folder, or is not to be read. */
export async function checkTextFile(file: string): Promise<void> {
  (await openTextFile(file)).close();
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
