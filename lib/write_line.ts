/**
 * Lines that are written at once, without `console`.
 *
 * @module
 */

/** Writes a line in UTF-8. */
export function writeLine(
  stream: { writeSync(bytes: Uint8Array): number },
  line: string,
): void {
  let bytes = new TextEncoder().encode(`${line}\n`);
  try {
    while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
  } catch (error) {
    // Nobody reads the output; as with console, that is no reason to stop.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
