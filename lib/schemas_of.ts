/**
 * The type of the schemas of some settings.
 *
 * @module
 */
import type { z } from "zod";

/**
 * A schema for each key of `Settings`, and for no other, that takes values of no other type. Where
 * the settings have an interface of their own, the schemas cannot depart from it unnoticed.
 */
export type SchemasOf<Settings> = {
  [Key in keyof Required<Settings>]: z.ZodType<unknown, Settings[Key]>;
};
