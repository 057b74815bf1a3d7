/**
 * The weights of the classes in the loss.
 *
 * @module
 */
import { z } from "zod";
import { UserError } from "../lib/user_error.ts";

/** The settings whose weights are a power of the classes' frequencies, with the power. */
const POWERS: Readonly<Record<string, number>> = { balanced: -1, sqrt: -0.5 };

const RULE = "must be balanced, sqrt, or NAME=WEIGHT,… with weights above 0";

/** The schema of `--class-weights`. */
export const CLASS_WEIGHTS = z.string().refine(
  (text) => text in POWERS || namedWeights(text) !== undefined,
  RULE,
);

/**
 * The weight of each class: `[labels]`. Their mean over the texts is 1, so that a learning rate means
 * the same as without them.
 *
 * @param setting The value of `--class-weights`, as {@link CLASS_WEIGHTS} takes it.
 * @param classes The place of each training text's class among the labels.
 * @throws {UserError} If it names a class that the texts do not have.
 */
export function classWeights(
  setting: string,
  classes: readonly number[],
  labels: readonly string[],
): number[] {
  const counts = labels.map(() => 0);
  for (const place of classes) counts[place]!++;
  const weights = unscaledWeights(setting, counts, labels);
  const sum = classes.reduce((sum, place) => sum + weights[place]!, 0);
  return weights.map((weight) => weight * classes.length / sum);
}

function unscaledWeights(
  setting: string,
  counts: readonly number[],
  labels: readonly string[],
): number[] {
  const power = POWERS[setting];
  // A class without a text weighs nothing, whatever its number.
  if (power !== undefined) return counts.map((count) => Math.max(1, count) ** power);
  const named = namedWeights(setting)!;
  const unknown = [...named.keys()].find((name) => !labels.includes(name));
  if (unknown !== undefined) {
    throw new UserError(
      `Cannot weigh class '${unknown}': there are ${labels.join(", ")}`,
    );
  }
  return labels.map((label) => named.get(label) ?? 1);
}

/** The weights in `NAME=WEIGHT,…`; `undefined` for any other text. */
function namedWeights(text: string): Map<string, number> | undefined {
  const entries = text.split(",").map((entry): [string, number] => {
    const end = entry.lastIndexOf("=");
    return [entry.slice(0, Math.max(0, end)).trim(), Number(entry.slice(end + 1).trim() || NaN)];
  });
  const isGood = ([name, weight]: [string, number]) =>
    name !== "" && weight > 0 && Number.isFinite(weight);
  const weights = new Map(entries);
  return entries.every(isGood) && weights.size === entries.length ? weights : undefined;
}
