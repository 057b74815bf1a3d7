/**
 * The data that a model was trained on, as the folder of its run tells: where they are, how they
 * are read, and their texts.
 *
 * @module
 */
import { basename, dirname, join, resolve } from "node:path";
import { type Columns, DEFAULT_COLUMNS, parseColumnMapping } from "../../data/columns.ts";
import {
  type DatasetOptions,
  evaluationFile,
  readTraining,
  splitFile,
} from "../../data/dataset.ts";
import { exists } from "../../lib/files.ts";
import { UserError } from "../../lib/user_error.ts";
import { trainingRows } from "../encoded_examples.ts";
import type { TrainSettings } from "../settings.ts";
import { CHECKPOINTS_DIR } from "./checkpoints.ts";
import { readSeenTexts, type SeenTexts } from "./seen_texts.ts";
import { readTrainingArgs, TRAINING_ARGS_FILE, type TrainingArgs } from "./training_args.ts";

/**
 * The file that a model is measured on by default: the test file of the data that it was trained on,
 * or the validation file where there is none.
 *
 * @throws {UserError} If its folder does not say where the data are.
 */
export async function evaluationFileOf(modelDir: string): Promise<string> {
  const dataDir = (await trainingArgsOf(modelDir))?.dataDir;
  const { columns, options } = await readingOf(modelDir);
  if (dataDir !== undefined) return await evaluationFile(dataDir, columns, options);
  if (!await exists(modelDir)) {
    throw new UserError(`Cannot read a model from '${modelDir}': there is no such folder`);
  }
  throw new UserError(`Cannot tell what '${modelDir}' was trained on: use --file`);
}

/**
 * The file that a model is measured on, and how it is read: its own test file as the training data
 * were, another one with labels as they were.
 *
 * @param file Another file than {@link evaluationFileOf} gives.
 * @param given The columns and options that the caller names, which take the others' place.
 * @throws {UserError} If no file is given, and the model's folder does not say where its data are.
 */
export async function evaluationInput(
  modelDir: string,
  file: string | undefined,
  { columns, ...given }: DatasetOptions & { columns?: Columns | undefined },
): Promise<{ file: string; columns: Columns; options: DatasetOptions }> {
  const trained = await readingOf(modelDir);
  const { skipLabels, normalizeLabels = false } = trained.options;
  return file === undefined
    ? {
      file: await evaluationFileOf(modelDir),
      columns: columns ?? trained.columns,
      options: { ...trained.options, ...given },
    }
    : {
      file,
      columns: columns ?? DEFAULT_COLUMNS,
      options: { skipLabels, normalizeLabels, ...given },
    };
}

/** The columns and options by which the training data of a model are read. */
async function readingOf(
  modelDir: string,
): Promise<{ columns: Columns; options: DatasetOptions }> {
  const settings = (await trainingArgsOf(modelDir))?.settings;
  return { columns: parseColumnMapping(settings?.columnMapping), options: readOptions(settings) };
}

/** The options by which a run reads its data, from its settings. */
export function readOptions(settings: Partial<TrainSettings> = {}): DatasetOptions {
  const { delimiter, encoding, skipLabels, normalizeLabels = false } = settings;
  return { delimiter, encoding, skipLabels, normalizeLabels };
}

/** The texts that a model was trained on; `undefined` if they cannot be found. */
export async function trainingTextsOf(modelDir: string): Promise<SeenTexts | undefined> {
  for (const dir of runDirsOf(modelDir)) {
    const texts = await readSeenTexts(dir);
    if (texts !== undefined) return texts;
  }
  const args = await trainingArgsOf(modelDir);
  if (args === undefined) return undefined;
  const file = await splitFile(args.dataDir, "train");
  if (!await exists(file)) return undefined;
  const { settings } = args;
  const columns = parseColumnMapping(settings.columnMapping);
  const examples = await readTraining(file, settings.problemType, columns, readOptions(settings));
  return new Set(Array.from(trainingRows(examples, settings), ({ text }) => text));
}

/** The arguments of the run that a model comes from; a checkpoint belongs to its run. */
async function trainingArgsOf(modelDir: string): Promise<TrainingArgs | undefined> {
  for (const dir of runDirsOf(modelDir)) {
    if (await exists(join(dir, TRAINING_ARGS_FILE))) return await readTrainingArgs(dir);
  }
  return undefined;
}

/** The folders that may be that of the run that a model comes from. */
function runDirsOf(modelDir: string): string[] {
  const parent = dirname(resolve(modelDir));
  return basename(parent) === CHECKPOINTS_DIR ? [modelDir, dirname(parent)] : [modelDir];
}
