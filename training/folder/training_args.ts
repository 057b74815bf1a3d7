/**
 * The arguments of a run, in `training_args.json`.
 *
 * @module
 */
import { join, resolve } from "node:path";
import { z } from "zod";
import { checkSettings } from "../../lib/check_settings.ts";
import { exists, readJson, writeJson } from "../../lib/files.ts";
import { UserError } from "../../lib/user_error.ts";
import { OWN_MODELS } from "../../models/own_models.ts";
import { comparisonOf } from "../metrics.ts";
import { TrainSettings } from "../settings.ts";
import { camelCase, mapKeys, snakeCase, spellJson } from "../../lib/snake_case.ts";

/** The file's name, in the folder of a run. */
export const TRAINING_ARGS_FILE = "training_args.json";

/** The folder of the data that were split for a run, within the run's folder. */
export const KEPT_DATA_DIR = "data";

/** The arguments of a run. */
export interface TrainingArgs {
  settings: TrainSettings;
  /** The folder of the data. */
  dataDir: string;
  dataSha256: string | undefined;
}

/** Settings that change where and how safely a run goes on, but not what it does. */
const FREE_SETTINGS = [
  "device",
  "threads",
  "saveSteps",
  "saveTotalLimit",
  "keepOptimizer",
  "license",
] as const;

/** Writes the arguments of a run: settings, data, and the measure by which epochs are compared. */
export async function writeTrainingArgs(
  dir: string,
  settings: TrainSettings,
  data: { dir: string; sha256: string },
): Promise<void> {
  const { metric, greaterIsBetter } = comparisonOf(settings);
  await writeJson(join(dir, TRAINING_ARGS_FILE), {
    ...mapKeys<unknown>({ ...await absolutePlaces(settings) }, snakeCase),
    data: resolve(data.dir),
    data_sha256: data.sha256,
    metric_for_best_model: metric,
    greater_is_better: greaterIsBetter,
  });
}

const Stored = z.looseObject({ data: z.string(), data_sha256: z.string().optional() });
const Objective = z.looseObject({ objective: z.string().optional() });

/** Whether a folder is that of a pretrained base, which is no classifier. */
export async function isPretraining(dir: string): Promise<boolean> {
  const file = join(dir, TRAINING_ARGS_FILE);
  if (!await exists(file)) return false;
  // A damaged file tells nothing; whoever reads it next says so.
  const args = await readJson(file, Objective).catch(() => undefined);
  return args?.objective !== undefined;
}

/**
 * Reads the arguments of a run.
 *
 * @throws {UserError} If the folder is not that of a run, or the file breaks a rule.
 */
export async function readTrainingArgs(dir: string): Promise<TrainingArgs> {
  const file = join(dir, TRAINING_ARGS_FILE);
  if (!await exists(file)) {
    throw new UserError(`Cannot read '${dir}': it is not the folder of a run`);
  }
  if (await isPretraining(dir)) {
    throw new UserError(`Cannot read '${dir}': it is a pretrained base; train on it with --model`);
  }
  const { data, data_sha256, ...rest } = await readJson(file, Stored);
  const settings = storedSettings(TrainSettings, file, rest);
  // Data that were split for the run lie in its folder, which may have moved. Other data are not
  // looked for, as a server may read its own folders only.
  const kept = join(dir, KEPT_DATA_DIR);
  const dataDir = await exists(kept) ? kept : data;
  return { settings, dataDir, dataSha256: data_sha256 };
}

/**
 * The settings among the keys of a file.
 *
 * @throws {UserError} If one breaks a rule.
 */
export function storedSettings<Schema extends z.ZodObject>(
  schema: Schema,
  file: string,
  stored: Record<string, unknown>,
): z.infer<Schema> {
  const known = Object.entries(mapKeys(stored, camelCase)).filter(([key]) => key in schema.shape);
  return checkSettings(schema, Object.fromEntries(known), {
    spell: spellJson,
    refuse: (key = "", rule) => new UserError(`Cannot read '${file}': '${snakeCase(key)}' ${rule}`),
  });
}

/** Settings that name models. */
interface Places {
  model: string;
  teacher?: string | undefined;
}

/**
 * The settings with which a run goes on: its own, except for those that may change.
 *
 * @param given The settings that the caller gives, which may not differ otherwise.
 * @throws {UserError} If other settings differ; the message names them.
 */
export async function resumedSettings<Settings extends Places>(
  dir: string,
  settings: Settings,
  given: Partial<Settings>,
): Promise<Settings> {
  const wanted = await absolutePlaces(given);
  const differences = Object.entries(wanted).flatMap(([key, value]) => {
    const own = settings[key as keyof Settings];
    if (FREE_SETTINGS.some((free) => free === key) || own === value) return [];
    return `${snakeCase(key)} is ${own ?? "not set"} there, not ${value}`;
  });
  if (differences.length > 0) {
    throw new UserError(`Cannot resume '${dir}' with other settings: ${differences.join("; ")}`);
  }
  return { ...settings, ...wanted };
}

/** Makes the paths of models absolute, so that a process elsewhere can resume. */
export async function absolutePlaces<Settings extends Partial<Places>>(
  settings: Settings,
): Promise<Settings> {
  const { model, teacher } = settings;
  return {
    ...settings,
    ...(model !== undefined && { model: await absolute(model) }),
    ...(teacher !== undefined && { teacher: await absolute(teacher) }),
  };
}

/** The absolute path of a model's folder; other models' names as they are. */
async function absolute(model: string): Promise<string> {
  return !OWN_MODELS.includes(model) && await exists(model) ? resolve(model) : model;
}
