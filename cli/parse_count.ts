/**
 * Options that are counts.
 *
 * @module
 */
import { InvalidArgumentError } from "commander";

/**
 * Parses a count.
 *
 * @throws {InvalidArgumentError} If it is not a whole number of at least 1.
 */
export function parseCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1) return count;
  throw new InvalidArgumentError("It must be 1 or more.");
}
