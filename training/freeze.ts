/**
 * Chooses the parameters that are not trained.
 *
 * @module
 */
import { UserError } from "../lib/user_error.ts";

/**
 * Finds the parameters that patterns choose; none without patterns.
 *
 * @param patterns Names separated by commas; `*` stands for anything, as in
 * `*.embeddings.*,*.layer.0.*`.
 * @throws {UserError} If a pattern fits no name, or all names are chosen.
 */
export function frozenParameters(
  patterns: string | undefined,
  names: readonly string[],
): Set<string> {
  const frozen = new Set<string>();
  if (patterns === undefined) return frozen;
  for (const pattern of patterns.split(",")) {
    const fitting = names.filter((name) => fits(pattern.trim(), name));
    if (fitting.length === 0) {
      throw new UserError(
        `Cannot freeze '${pattern}': no parameter has such a name; there are ${names[0]}, …`,
      );
    }
    for (const name of fitting) frozen.add(name);
  }
  if (frozen.size === names.length) {
    throw new UserError(`Cannot freeze '${patterns}': nothing would be left to train`);
  }
  return frozen;
}

/** Whether a name consists of the pattern's parts in their order, with anything for each `*`. */
function fits(pattern: string, name: string): boolean {
  const [first, ...rest] = pattern.split("*") as [string, ...string[]];
  const last = rest.pop();
  if (last === undefined) return name === first;
  if (!name.startsWith(first)) return false;
  let position = first.length;
  for (const part of rest) {
    const found = name.indexOf(part, position);
    if (found < 0) return false;
    position = found + part.length;
  }
  return name.length - last.length >= position && name.endsWith(last);
}
