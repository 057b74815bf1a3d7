/**
 * Numbers and errors as a message shows them.
 *
 * @module
 */

/** `12345` -> `12,345` */
export function count(value: number): string {
  return value.toLocaleString("en");
}

/** `0.9346` -> `93.5 %` */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** The message of a caught error; anything else as text. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
