/**
 * A fault in what a user gave: a file, a flag, a setting. Its message says what was tried, the rule
 * and the value, and is all that the user needs to see.
 */
export class UserError extends Error {
  override name = "UserError";
}
