/**
 * The folders of runs: where a new one goes, and which finished last.
 *
 * @module
 */
import { join } from "node:path";
import { exists } from "../data/files.ts";
import { UserError } from "../data/user_error.ts";
import type { TrainSettings } from "./settings.ts";

/** Where runs go that were given no folder. */
export const RUNS_DIR = "runs";

/** Written last, so that a folder that has it holds a finished run. */
export const METRICS_FILE = "metrics.json";

/** What was asked of a run, with the folder of its data under `data`. */
export const TRAINING_ARGS_FILE = "training_args.json";

/** The folder of a run that starts now: `runs/<date>-<mode>-<model>`. */
export function newRunDir({ mode, model }: Pick<TrainSettings, "mode" | "model">): string {
  const date = new Date().toISOString().slice(0, 19).replaceAll(":", "").replace("T", "-");
  return join(RUNS_DIR, `${date}-${mode}-${model.replaceAll(/[^A-Za-z0-9._-]+/g, "-")}`);
}

/**
 * Makes the folder of a run.
 *
 * @throws {UserError} If it holds something and may not be overwritten.
 */
export async function prepareOutDir(dir: string, options: { overwrite: boolean }): Promise<void> {
  await Deno.mkdir(dir, { recursive: true });
  for await (const { name } of Deno.readDir(dir)) {
    if (!options.overwrite) {
      throw new UserError(
        `Cannot write to '${dir}': it holds '${name}'; use --overwrite or another --out`,
      );
    }
    await Deno.remove(join(dir, name), { recursive: true });
  }
}

/** A finished run's folder. */
export interface FinishedRun {
  /** The folder's own name. */
  name: string;
  dir: string;
  finishedAt: Date;
}

/** The runs of a folder that are finished, the last first. */
export async function finishedRuns(runsDir: string): Promise<FinishedRun[]> {
  const runs: FinishedRun[] = [];
  if (!await exists(runsDir)) return runs;
  for await (const { name } of Deno.readDir(runsDir)) {
    const dir = join(runsDir, name);
    const metrics = join(dir, METRICS_FILE);
    if (!await exists(metrics)) continue;
    runs.push({ name, dir, finishedAt: (await Deno.stat(metrics)).mtime ?? new Date(0) });
  }
  return runs.sort((a, b) => b.finishedAt.getTime() - a.finishedAt.getTime());
}

/**
 * The folder of the run that finished last.
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

/**
 * The folder of the data that a run was trained on.
 *
 * @throws {UserError} If the run does not say.
 */
export async function dataDirOf(modelDir: string): Promise<string> {
  const file = join(modelDir, TRAINING_ARGS_FILE);
  if (await exists(file)) {
    const { data } = JSON.parse(await Deno.readTextFile(file));
    if (typeof data === "string") return data;
  }
  throw new UserError(`Cannot tell what '${modelDir}' was trained on: use --file`);
}
