/**
 * Where in the page one is: a path and parameters behind the `#` of the address, which no server
 * sees or logs.
 *
 * @module
 */
import { computed, signal } from "@preact/signals";

/** A place in the page. */
export interface Route {
  /** Such as `["runs", "ID"]`. */
  path: string[];
  parameters: URLSearchParams;
}

const hash = signal(location.hash);
addEventListener("hashchange", () => hash.value = location.hash);

/** The place that is shown. */
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

/** Changes the parameters of the present place; the way back does not lead through each. */
export function setParameters(parameters: Record<string, string | undefined>): void {
  const { path, parameters: before } = route.peek();
  const next = href(path, { ...Object.fromEntries(before), ...parameters });
  history.replaceState(null, "", next);
  hash.value = next;
}

/** A part of an address that somebody typed may be anything. */
function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
