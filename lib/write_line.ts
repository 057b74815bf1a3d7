/**
 * Lines that are written at once, and past `console`.
 *
 * @module
 */

/** Writes a line in UTF-8. */
export function writeLine(
  stream: { writeSync(bytes: Uint8Array): number },
  line: string,
): void {
  let bytes = new TextEncoder().encode(`${line}\n`);
  while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
}
