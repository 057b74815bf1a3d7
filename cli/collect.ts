/**
 * Options that may be given several times.
 *
 * @module
 */

/** Adds a value to those that an option was given before. */
export function collect(value: string, values: string[] = []): string[] {
  return [...values, value];
}
