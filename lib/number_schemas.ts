/**
 * Schemas of numbers whose errors name the rule.
 *
 * @module
 */
import { z } from "zod";

/** A whole number; the message of every error is the rule. */
export function whole(least: number, most?: number): z.ZodNumber {
  const rule = most === undefined
    ? `must be a whole number of ${least} or more`
    : `must be a whole number from ${least} to ${most}`;
  const schema = z.number(rule).int(rule).min(least, rule);
  return most === undefined ? schema : schema.max(most, rule);
}

/** A number in a range. */
export function between(least: number, most: number): z.ZodNumber {
  const rule = `must be from ${least} to ${most}`;
  return z.number(rule).min(least, rule).max(most, rule);
}

/** A number above 0. */
export function positive(most?: number): z.ZodNumber {
  const rule = `must be above 0 and ${most === undefined ? "finite" : `at most ${most}`}`;
  const schema = z.number(rule).gt(0, rule);
  return most === undefined ? schema : schema.max(most, rule);
}
