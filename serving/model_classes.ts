/**
 * The classes of models, by which a version may take another's place.
 *
 * @module
 */
import type { ProblemType } from "../data/labels.ts";
import { UserError } from "../lib/user_error.ts";
import { readConfig } from "../models/family.ts";
import { problemOf } from "../models/formats/config.ts";
import type { ModelVersion } from "./model_reference.ts";

/**
 * Two of the versions whose classes differ, if there are any. Versions that do not name their
 * classes are left out.
 */
export async function differing(
  versions: readonly ModelVersion[],
): Promise<[ModelVersion, ModelVersion] | undefined> {
  let first: { version: ModelVersion; classes: string } | undefined;
  for (const version of versions) {
    const classes = await classesOf(version.dir);
    if (classes === undefined) continue;
    first ??= { version, classes };
    if (classes !== first.classes) return [first.version, version];
  }
  return undefined;
}

/** Classes as a text that is the same in any order of the labels. */
export function classesKey(problemType: ProblemType, labels: readonly string[]): string {
  return JSON.stringify([problemType, problemType === "regression" ? [] : labels.toSorted()]);
}

/** The {@link classesKey} of a model's folder; `undefined` if it does not name its classes. */
export async function classesOf(dir: string): Promise<string | undefined> {
  try {
    const { problemType, labels } = problemOf(await readConfig(dir));
    return classesKey(problemType, labels);
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
