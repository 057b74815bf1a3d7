/**
 * The key of a server, which is never on a command line: all users of a machine can read those.
 *
 * @module
 */
import { UserError } from "../lib/user_error.ts";
import { API_KEY_VARIABLE } from "../routes/access.ts";

/** The least length of a key; a shorter one can be guessed. */
const MIN_LENGTH = 16;

/**
 * The key in the variable {@link API_KEY_VARIABLE}, if it is set and may be read.
 *
 * @throws {UserError} If it is too short.
 */
export function apiKeyVariable(): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: API_KEY_VARIABLE });
  const key = state === "granted" ? Deno.env.get(API_KEY_VARIABLE) : undefined;
  if (key === undefined || key === "") return undefined;
  if (key.length >= MIN_LENGTH) return key;
  throw new UserError(
    `Cannot use ${API_KEY_VARIABLE}: it must have ${MIN_LENGTH} characters or more, got ${key.length}`,
  );
}
