/**
 * Writes tables of texts and labels as CSV.
 *
 * @module
 */
import { PartialFile } from "../lib/files.ts";
import { type Examples, labelsOf, utf8Texts } from "./example_file.ts";

const QUOTE = 0x22;
/** The characters that make quotes around a field necessary. */
const SPECIAL = ['"', ",", "\r", "\n"].map((character) => character.charCodeAt(0));
const BLOCK_BYTES = 2 ** 20;

/** A field as it stands in CSV, by RFC 4180. */
export function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Writes rows under the columns `text` and `label`; the file takes its name when it is complete. */
export async function writeExamples(path: string, examples: Examples): Promise<void> {
  await using file = await PartialFile.create(path);
  const encoder = new TextEncoder();
  const block = new Uint8Array(BLOCK_BYTES);
  let end = encoder.encodeInto("text,label\n", block).written;
  const labels = labelsOf(examples);
  const endings = new Map<string, Uint8Array>();
  for (const text of utf8Texts(examples)) {
    const label = labels.next().value!;
    const ending = endings.getOrInsertComputed(
      label,
      () => encoder.encode(`,${csvField(label)}\n`),
    );
    const most = 2 * text.length + 2 + ending.length;
    if (end + most > block.length) {
      await file.write(block.subarray(0, end));
      end = 0;
    }
    if (most > block.length) {
      const row = new Uint8Array(most);
      await file.write(row.subarray(0, addRow(row, 0, text, ending)));
    } else {
      end = addRow(block, end, text, ending);
    }
  }
  await file.write(block.subarray(0, end));
  await file.publish();
}

/** Adds a row to bytes; returns where it ends. */
function addRow(bytes: Uint8Array, start: number, text: Uint8Array, ending: Uint8Array): number {
  let end = start;
  if (SPECIAL.some((character) => text.includes(character))) {
    bytes[end++] = QUOTE;
    let done = 0;
    for (let at; (at = text.indexOf(QUOTE, done)) >= 0; done = at + 1) {
      bytes.set(text.subarray(done, at + 1), end);
      end += at + 1 - done;
      bytes[end++] = QUOTE;
    }
    bytes.set(text.subarray(done), end);
    end += text.length - done;
    bytes[end++] = QUOTE;
  } else {
    bytes.set(text, end);
    end += text.length;
  }
  bytes.set(ending, end);
  return end + ending.length;
}
