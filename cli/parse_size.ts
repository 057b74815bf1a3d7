/**
 * Sizes on the command line.
 *
 * @module
 */
import { InvalidArgumentError } from "commander";

const UNITS = { "": 1, KB: 1e3, MB: 1e6, GB: 1e9 } as const;

/** Parses a number of bytes: `2MB` -> 2,000,000 */
export function parseSize(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?) ?(|KB|MB|GB)$/i.exec(text) ?? [];
  const bytes = Math.round(Number(number) * UNITS[unit?.toUpperCase() as keyof typeof UNITS]);
  if (bytes >= 1) return bytes;
  throw new InvalidArgumentError("It must be a number of bytes, KB, MB or GB.");
}
