/**
 * The folders of runs: where a new one goes, and which finished last.
 *
 * @module
 */
import { basename, join } from "node:path";
import { type Columns, parseColumnMapping } from "../../data/columns.ts";
import {
  type DatasetOptions,
  evaluationFile,
  readTraining,
  splitFile,
} from "../../data/dataset.ts";
import { checkRegular, exists, fileInfo, removeFiles, removeFolder } from "../../lib/files.ts";
import { mapAtOnce } from "../../lib/map_at_once.ts";
import { UserError } from "../../lib/user_error.ts";
import { trainingRows } from "../encoded_examples.ts";
import { readSeenTexts, type SeenTexts } from "./seen_texts.ts";
import { TRAINER_STATE_FILE } from "./trainer_state.ts";
import { CHECKPOINTS_DIR } from "./checkpoints.ts";
import type { TrainSettings } from "../settings.ts";
import {
  isPretraining,
  readTrainingArgs,
  TRAINING_ARGS_FILE,
  type TrainingArgs,
} from "./training_args.ts";

/** The folder for runs that were given none of their own. */
export const RUNS_DIR = "runs";

/** The file that is written last, so that a folder that has it holds a finished run. */
export const METRICS_FILE = "metrics.json";

/** The file that the process that trains in the folder locks. */
const LOCK_FILE = "lock";
const LOCK_TRIES = 5;

/** The folder of a run that starts now, in UTC: `runs/<date>-<mode>-<model>`. */
export function newRunDir({ mode, model }: Pick<TrainSettings, "mode" | "model">): string {
  const date = new Date().toISOString().slice(0, 19).replaceAll(":", "").replace("T", "-");
  const name = basename(model).replaceAll(/[^A-Za-z0-9._-]+/g, "-");
  return join(RUNS_DIR, `${date}-${mode}-${name}`);
}

/**
 * Checks that a run may have a folder, before anything is done for it.
 *
 * @throws {UserError} If the folder holds something and may not be overwritten, or holds no run.
 */
export async function checkOutDir(
  dir: string,
  { overwrite }: { overwrite: boolean },
): Promise<void> {
  const names = await namesIn(dir);
  const [first] = names;
  if (first === undefined) return;

  const held = `Cannot write to '${dir}': it holds`;
  if (!names.includes(TRAINING_ARGS_FILE)) {
    throw new UserError(`${held} '${first}' and is not that of a run; use another --out`);
  }
  if (!overwrite) {
    throw new UserError(
      names.includes(METRICS_FILE)
        ? `${held} a finished run; use --overwrite or another --out`
        : `${held} an unfinished run; use --resume, --overwrite or another --out`,
    );
  }
}

/**
 * Makes the folder of a run and writes the run's arguments.
 *
 * A folder that is overwritten counts as unfinished from now on; its checkpoints go, and its files
 * are replaced one by one when the new model is there.
 *
 * @param writeArgs Writes {@link TRAINING_ARGS_FILE}.
 * @throws {UserError} As {@link checkOutDir} does.
 */
export async function prepareOutDir(
  dir: string,
  writeArgs: () => Promise<void>,
  { overwrite }: { overwrite: boolean },
): Promise<void> {
  await checkOutDir(dir, { overwrite });
  await Deno.mkdir(dir, { recursive: true });
  const names = await namesIn(dir);
  // In one step: old checkpoints that stayed would be taken for those of the new run.
  const replaced = join(dir, `${CHECKPOINTS_DIR}.replaced`);
  // Left there by a process that was killed.
  await removeFolder(replaced);
  if (names.includes(CHECKPOINTS_DIR)) await Deno.rename(join(dir, CHECKPOINTS_DIR), replaced);
  await removeFiles(dir, [METRICS_FILE, TRAINER_STATE_FILE]);
  await writeArgs();
  await removeFolder(replaced);
}

/** The names in a run's folder, if it is there, without the lock and hidden files. */
async function namesIn(dir: string): Promise<string[]> {
  if (!await exists(dir)) return [];
  const names = (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name);
  // macOS leaves .DS_Store wherever someone has looked.
  return names.filter((name) => name !== LOCK_FILE && !name.startsWith("."));
}

/**
 * Keeps other processes out of a run's folder, which is made if it is not there, until the lock is
 * disposed of or the process ends.
 *
 * @throws {UserError} If another process trains there.
 */
export async function lockRun(dir: string): Promise<AsyncDisposable> {
  await Deno.mkdir(dir, { recursive: true });
  const path = join(dir, LOCK_FILE);
  const file = await Deno.open(path, { write: true, create: true });
  // A process that checks for the lock holds it for a moment.
  for (let tries = 1; !await file.tryLock(true); tries++) {
    if (tries < LOCK_TRIES) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      continue;
    }
    file.close();
    throw new UserError(`Cannot train in '${dir}': another process does`);
  }
  return {
    async [Symbol.asyncDispose]() {
      file.close();
      await Deno.remove(path);
    },
  };
}

/** Whether a process trains in a run's folder. */
export async function isLocked(dir: string): Promise<boolean> {
  const path = join(dir, LOCK_FILE);
  if (!await exists(path)) return false;
  await checkRegular(path);
  using file = await Deno.open(path, { write: true });
  return !await file.tryLock(true);
}

/**
 * Reads the arguments of a run that is not finished.
 *
 * @throws {UserError} If the folder holds no run, or a finished one.
 */
export async function readUnfinishedRun(dir: string): Promise<TrainingArgs> {
  const args = await readTrainingArgs(dir);
  await checkUnfinished(dir);
  return args;
}

/** @throws {UserError} If a run is finished. */
export async function checkUnfinished(dir: string): Promise<void> {
  if (!await exists(join(dir, METRICS_FILE))) return;
  throw new UserError(`Cannot resume '${dir}': it is finished`);
}

/**
 * Finds the folder of the run that was started last, is not finished, and has been stopped.
 *
 * @throws {UserError} If there is none.
 */
export async function lastUnfinishedRun(runsDir: string = RUNS_DIR): Promise<string> {
  const runs = await exists(runsDir) ? await Array.fromAsync(Deno.readDir(runsDir)) : [];
  let last = { dir: "", startedAt: -1 };
  for (const { name } of runs) {
    const dir = join(runsDir, name);
    const args = join(dir, TRAINING_ARGS_FILE);
    if (!await exists(args) || await exists(join(dir, METRICS_FILE))) continue;
    if (await isPretraining(dir)) continue;
    const startedAt = (await Deno.stat(args)).mtime?.getTime() ?? 0;
    if (startedAt > last.startedAt && !await isLocked(dir)) last = { dir, startedAt };
  }
  if (last.dir !== "") return last.dir;
  throw new UserError(`Cannot find an unfinished run in '${runsDir}': name one with --out`);
}

/** The most folders that are looked at at the same time. */
const FOLDERS_AT_ONCE = 32;

/** The folder of a finished run. */
export interface FinishedRun {
  /** The folder's own name. */
  name: string;
  dir: string;
  finishedAt: Date;
}

/**
 * Lists the finished runs of a folder, the last first.
 *
 * @param onBad Called for each entry that cannot be read, which is left out.
 */
export async function finishedRuns(
  runsDir: string,
  onBad: (path: string, error: unknown) => void = () => {},
): Promise<FinishedRun[]> {
  if (!await exists(runsDir)) return [];
  const entries = await Array.fromAsync(Deno.readDir(runsDir));
  const runs = await mapAtOnce(entries, FOLDERS_AT_ONCE, async ({ name }) => {
    const dir = join(runsDir, name);
    const metrics = join(dir, METRICS_FILE);
    try {
      const info = await fileInfo(metrics);
      if (info === undefined) return [];
      const { isFile, mtime } = info;
      if (!isFile) await checkRegular(metrics);
      if (await isPretraining(dir)) return [];
      return [{ name, dir, finishedAt: mtime ?? new Date(0) }];
    } catch (error) {
      onBad(dir, error);
      return [];
    }
  });
  return runs.flat().sort((a, b) => b.finishedAt.getTime() - a.finishedAt.getTime());
}

/**
 * Finds the folder of the run that finished last.
 *
 * @throws {UserError} If there is none.
 */
export async function lastFinishedRun(): Promise<string> {
  const [last] = await finishedRuns(RUNS_DIR);
  if (last === undefined) {
    throw new UserError(`Cannot find a finished run in '${RUNS_DIR}': train first, or use --model`);
  }
  return last.dir;
}

/** The folder of the data that a model was trained on; `undefined` if its folder does not say. */
export async function dataDirOf(modelDir: string): Promise<string | undefined> {
  return (await trainingArgsOf(modelDir))?.dataDir;
}

/**
 * The file that a model is measured on by default: the test file of the data that it was trained on,
 * or the validation file where there is none.
 *
 * @throws {UserError} If its folder does not say where the data are.
 */
export async function evaluationFileOf(modelDir: string): Promise<string> {
  const dataDir = await dataDirOf(modelDir);
  const { columns, options } = await readingOf(modelDir);
  if (dataDir !== undefined) return await evaluationFile(dataDir, columns, options);
  if (!await exists(modelDir)) {
    throw new UserError(`Cannot read a model from '${modelDir}': there is no such folder`);
  }
  throw new UserError(`Cannot tell what '${modelDir}' was trained on: use --file`);
}

/** The columns and options by which the training data of a model are read. */
export async function readingOf(
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
  return [modelDir, join(modelDir, "..", "..")];
}
