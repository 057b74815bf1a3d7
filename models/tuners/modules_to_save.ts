/**
 * Modules of a base that are trained whole and kept with an adapter, PEFT's `modules_to_save`.
 *
 * @module
 */
import type { PeftConfig } from "./tuner.ts";

/** The modules that PEFT keeps with every classifier's adapter: its heads, whichever it has. */
export const HEAD_MODULES: readonly string[] = ["classifier", "score"];

/** Whether a layer or parameter belongs to a module that is trained whole. */
export function isSaved({ modules_to_save = [] }: PeftConfig, name: string): boolean {
  return modules_to_save.some((module) => `.${name}.`.includes(`.${module}.`));
}
