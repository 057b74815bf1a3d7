/**
 * Options that take one of a few words.
 *
 * @module
 */
import { InvalidArgumentError, Option } from "commander";
import { closest, distance } from "fastest-levenshtein";

/** An option that takes one of these words, and suggests the nearest for any other. */
export function choiceOption(
  flags: string,
  description: string,
  choices: readonly string[],
): Option {
  const option = new Option(flags, description).choices(choices);
  return option.argParser((value) => {
    if (choices.includes(value)) return value;
    const meant = choices.find((choice) => choice.startsWith(value)) ?? closest(value, choices);
    const isNear = meant.startsWith(value) || distance(value, meant) < value.length / 2;
    const suggestion = isNear ? `\n(Did you mean ${meant}?)` : "";
    throw new InvalidArgumentError(`Allowed choices are ${choices.join(", ")}.${suggestion}`);
  });
}
