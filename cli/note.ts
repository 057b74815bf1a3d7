/**
 * Sentences beside a command's result.
 *
 * @module
 */
import { Help } from "commander";

/** Prints a note on standard error, on a terminal without breaking its words. */
export function printNote(note: string): void {
  console.error(wrapped(note));
}

/** The lines of a sentence, as wide as the terminal that standard error is. */
export function wrapped(text: string): string {
  if (!Deno.stderr.isTerminal()) return text;
  return new Help().boxWrap(text, Deno.consoleSize().columns);
}
