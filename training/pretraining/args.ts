/**
 * The arguments of a pretraining run, in `training_args.json`.
 *
 * @module
 */
import { join, resolve } from "node:path";
import { z } from "zod";
import { readJson, writeJson } from "../../lib/files.ts";
import { UserError } from "../../lib/user_error.ts";
import { checkUnfinished } from "../folder/run_folder.ts";
import { mapKeys, snakeCase } from "../../lib/snake_case.ts";
import {
  absolutePlaces,
  isPretraining,
  storedSettings,
  TRAINING_ARGS_FILE,
} from "../folder/training_args.ts";
import { PretrainSettings } from "./settings.ts";

/** The arguments of a pretraining run. */
export interface PretrainingArgs {
  settings: PretrainSettings;
  /** Files with one text a line. */
  texts: readonly string[];
}

const OBJECTIVE = "masked_language_modeling";
const StoredArgs = z.looseObject({
  objective: z.literal(OBJECTIVE),
  texts: z.array(z.string()),
});

/** Writes the arguments of a run. */
export async function writePretrainingArgs(
  dir: string,
  { settings, texts }: PretrainingArgs,
): Promise<void> {
  await writeJson(join(dir, TRAINING_ARGS_FILE), {
    objective: OBJECTIVE,
    ...mapKeys<unknown>({ ...await absolutePlaces(settings) }, snakeCase),
    texts: texts.map((file) => resolve(file)),
  });
}

/**
 * Reads the arguments of a run that is not finished.
 *
 * @throws {UserError} If the folder is not that of such a run.
 */
export async function readUnfinishedPretraining(dir: string): Promise<PretrainingArgs> {
  if (!await isPretraining(dir)) {
    throw new UserError(`Cannot resume '${dir}': it is not the folder of a pretraining run`);
  }
  const file = join(dir, TRAINING_ARGS_FILE);
  const { objective: _, texts, ...rest } = await readJson(file, StoredArgs);
  await checkUnfinished(dir);
  return { settings: storedSettings(PretrainSettings, file, rest), texts };
}
