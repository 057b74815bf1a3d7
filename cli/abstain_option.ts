/**
 * The option that lets a model abstain where it is unsure.
 *
 * @module
 */
import { InvalidArgumentError, Option } from "commander";
import type { ProblemType } from "../data/labels.ts";
import { UserError } from "../lib/user_error.ts";

/** `--abstain <score>`. */
export function abstainOption(consequence: string): Option {
  return new Option(
    "--abstain <score>",
    `Give a text no class where the highest score is below this, from 0 to 1: ${consequence}`,
  ).argParser((text) => {
    const value = text.trim() === "" ? NaN : Number(text);
    if (value >= 0 && value <= 1) return value;
    throw new InvalidArgumentError("It must be a number from 0 to 1.");
  });
}

/** @throws {UserError} If a model does not predict exactly one class for each text. */
export function checkAbstain(
  abstain: number | undefined,
  dir: string,
  problemType: ProblemType,
): void {
  if (abstain === undefined || problemType === "single_label_classification") return;
  throw new UserError(`Cannot use --abstain with '${dir}': it does not give a text one class`);
}
