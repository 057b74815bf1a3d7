/**
 * A fault in a user's input: a file, a flag, a setting. Its message gives the action, the rule and
 * the value, and is all that the user needs to see.
 */
export class UserError extends Error {
  /** `UserError` */
  override name = "UserError";
}
