/**
 * Command-line options made from a zod schema, so that flags, limits and help have one source.
 *
 * @module
 */
import { type Command, InvalidArgumentError, Option } from "commander";
import { z } from "zod";
import { checkSettings } from "../lib/check_settings.ts";
import { UserError } from "../lib/user_error.ts";
import { choiceOption } from "./choices.ts";

/**
 * Adds an option for each key of a schema: `learningRate` becomes `--learning-rate <number>`. A
 * boolean that is true by default becomes `--no-…`, described by `negative` in its metadata.
 */
export function addSettingsOptions(command: Command, schema: z.ZodObject): void {
  for (const [key, value] of Object.entries(schema.shape)) {
    command.addOption(settingOption(key, value as z.ZodType));
  }
}

/**
 * Picks the schema's keys from commander's options and checks them.
 *
 * @throws {UserError} If a value breaks its rule; the message names the flag.
 */
export function parseSettings<Schema extends z.ZodObject>(
  schema: Schema,
  options: Record<string, unknown>,
): z.infer<Schema> {
  const given = Object.fromEntries(
    Object.keys(schema.shape)
      .filter((key) => options[key] !== undefined)
      .map((key) => [key, options[key]]),
  );
  const spell = (key: string, value: unknown) => `${flagOf(key)} ${value}`;
  return checkSettings(schema, given, {
    spell,
    refuse: (key = "", rule) => new UserError(`Cannot use ${spell(key, given[key])}: ${rule}`),
  });
}

function settingOption(key: string, schema: z.ZodType): Option {
  const { type, options, defaultValue } = describe(schema);
  const description = schema.description ?? "";
  const noDefault = defaultValue === undefined;
  switch (type) {
    case "boolean":
      return defaultValue === true
        ? new Option(`--no-${flagOf(key).slice(2)}`, String(schema.meta()?.["negative"]))
        : new Option(flagOf(key), description);
    case "enum": {
      const option = choiceOption(`${flagOf(key)} <name>`, description, options);
      return noDefault ? option : option.default(defaultValue);
    }
    default: {
      const isNumber = type === "number";
      const option = new Option(`${flagOf(key)} <${isNumber ? "number" : "text"}>`, description);
      if (isNumber) option.argParser(parseNumber);
      return noDefault ? option : option.default(defaultValue);
    }
  }
}

function parseNumber(text: string): number {
  const value = text.trim() === "" ? NaN : Number(text);
  if (Number.isNaN(value)) throw new InvalidArgumentError("It must be a number.");
  return value;
}

/** The type inside `optional` and `default`, and the default. */
function describe(
  schema: z.ZodType,
): { type: string; options: string[]; defaultValue: unknown } {
  if (schema instanceof z.ZodDefault) {
    const { defaultValue } = schema.def;
    return { ...describe(schema.unwrap() as z.ZodType), defaultValue };
  }
  if (schema instanceof z.ZodOptional) return describe(schema.unwrap() as z.ZodType);
  const options = schema instanceof z.ZodEnum ? schema.options.map(String) : [];
  return { type: schema.def.type, options, defaultValue: undefined };
}

/** `learningRate` -> `--learning-rate` */
function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
