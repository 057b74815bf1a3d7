/**
 * Commands to copy.
 *
 * @module
 */

/** A path quoted for a shell. */
export function quoted(path: string): string {
  return /^[\w./:@%+=~-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
