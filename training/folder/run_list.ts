/**
 * Lists the runs of a folder, and finds the last.
 *
 * @module
 */
import { join } from "node:path";
import { checkRegular, exists, fileInfo } from "../../lib/files.ts";
import { mapAtOnce } from "../../lib/map_at_once.ts";
import { UserError } from "../../lib/user_error.ts";
import { isLocked, METRICS_FILE, RUNS_DIR } from "./run_folder.ts";
import { isPretraining, TRAINING_ARGS_FILE } from "./training_args.ts";

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
