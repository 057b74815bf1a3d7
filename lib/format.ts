/**
 * Numbers and errors as a message shows them.
 *
 * @module
 */

/** `12345` -> `12,345` */
export function count(value: number): string {
  return value.toLocaleString("en");
}

/** `1, "text"` -> `1 text`; `1200, "text"` -> `1,200 texts` */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

/** `0.9346` -> `93.5 %` */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** The first of several names: `a, b and 3 more` */
export function listOf(names: readonly string[], most = 10, separator = ", "): string {
  const left = names.length - most;
  return names.slice(0, most).join(separator) + (left > 0 ? ` and ${count(left)} more` : "");
}

/** The message of a caught error; anything else as text. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
