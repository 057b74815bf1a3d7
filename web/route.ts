/**
 * The place in the page: path and parameters after the address's `#`, unseen by any server.
 *
 * @module
 */
import { computed, signal } from "@preact/signals";

/** A place in the page. */
export interface Route {
  /** For example `["runs", "ID"]`. */
  path: string[];
  parameters: URLSearchParams;
}

const hash = signal(location.hash);
addEventListener("hashchange", () => hash.value = location.hash);

/** The current place. */
export const route = computed<Route>(() => {
  const [path = "", query = ""] = hash.value.replace(/^#\/?/, "").split(/\?(.*)/s);
  return {
    path: path.split("/").filter((part) => part !== "").map(decodePart),
    parameters: new URLSearchParams(query),
  };
});

/** The address of a place. */
export function href(
  path: readonly string[],
  parameters: Record<string, string | undefined> = {},
): string {
  const given = Object.entries(parameters)
    .filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== "");
  const query = new URLSearchParams(given).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${query === "" ? "" : `?${query}`}`;
}

/** Goes to a place. */
export function go(path: readonly string[], parameters?: Record<string, string | undefined>): void {
  location.hash = href(path, parameters);
}

/** Changes the parameters of the current place, without an entry in the browser's history. */
export function setParameters(parameters: Record<string, string | undefined>): void {
  const { path, parameters: before } = route.peek();
  const next = href(path, { ...Object.fromEntries(before), ...parameters });
  history.replaceState(null, "", next);
  hash.value = next;
}

/** Decodes a part of an address, which may be malformed. */
function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
