/**
 * The folder of a run: its place, what it may replace, and the lock on it.
 *
 * @module
 */
import { basename, join } from "node:path";
import { checkRegular, exists, removeFiles, removeFolder } from "../../lib/files.ts";
import { UserError } from "../../lib/user_error.ts";
import type { TrainSettings } from "../settings.ts";
import { CHECKPOINTS_DIR } from "./checkpoints.ts";
import { TRAINER_STATE_FILE } from "./trainer_state.ts";
import { readTrainingArgs, TRAINING_ARGS_FILE, type TrainingArgs } from "./training_args.ts";

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
