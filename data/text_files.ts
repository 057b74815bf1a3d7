/**
 * Files of plain text without labels, one text a line, of any size: they are read as a stream.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { openTextFile, textBlocks } from "./text_blocks.ts";

/**
 * Reads the lines of files, one file after the other, without blank ones.
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

/** @throws {UserError} If a file is not there, is a folder, or cannot be read. */
export async function checkTextFile(file: string): Promise<void> {
  (await openTextFile(file)).close();
}

/**
 * Whether a text is kept apart for measuring: a function of the text alone, so that one that comes
 * again is on the same side.
 *
 * @param share The share of all texts that are kept apart, from 0 to 1.
 */
export function isHeldOut(text: string, share: number): boolean {
  const digest = createHash("sha256").update(text).digest();
  return digest.readUInt32BE(0) < share * 2 ** 32;
}
