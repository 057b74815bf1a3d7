/**
 * Checks settings, which the command line, requests, files and the library each spell their own way.
 *
 * @module
 */
import { z } from "zod";

/** A setting with the value that another one needs. */
export interface NeededSetting {
  key: string;
  value: unknown;
}

/** How the faults of settings are told. */
export interface FaultWording {
  /** Names a setting with a value, such as `--long-texts chunk`. */
  spell(key: string, value: unknown): string;
  /**
   * Makes the error of a broken rule.
   *
   * @param key The setting that breaks it, unless it is no single one.
   */
  refuse(key: string | undefined, rule: string): Error;
}

/** The `params` of a fault whose message ends with the name and value of another setting. */
const Params = z.object({ needs: z.object({ key: z.string(), value: z.unknown() }) });

/**
 * Settings that keep their rules, with their defaults. A rule may end with another setting, which
 * it has in its `params`: `{ message: "goes with", params: { needs: { key, value } } }`.
 *
 * @throws {Error} The first fault, as {@link FaultWording.refuse} makes it.
 */
export function checkSettings<Schema extends z.ZodType>(
  schema: Schema,
  settings: unknown,
  { spell, refuse }: FaultWording,
): z.infer<Schema> {
  const { data, error } = schema.safeParse(settings);
  if (error === undefined) return data;
  const issue = error.issues[0]!;
  const [key] = issue.path;
  const { data: params } = Params.safeParse(issue.code === "custom" ? issue.params : undefined);
  const other = params === undefined ? "" : ` ${spell(params.needs.key, params.needs.value)}`;
  throw refuse(key === undefined ? undefined : String(key), issue.message + other);
}
