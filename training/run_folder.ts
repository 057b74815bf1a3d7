/**
 * The folders of runs: where a new one goes, and which finished last.
 *
 * @module
 */
import { basename, join, resolve } from "node:path";
import { z } from "zod";
import { readExamples } from "../data/csv.ts";
import { SPLIT_FILES } from "../data/dataset.ts";
import { exists, readJson, writeJson } from "../data/files.ts";
import { PROBLEM_TYPES } from "../data/labels.ts";
import { UserError } from "../data/user_error.ts";
import type { TrainSettings } from "./settings.ts";
import { trainingArgs } from "./trainer_state.ts";

/** Where runs go that were given no folder. */
export const RUNS_DIR = "runs";

/** Written last, so that a folder that has it holds a finished run. */
export const METRICS_FILE = "metrics.json";

/** What was asked of a run, with the folder of its data under `data`. */
export const TRAINING_ARGS_FILE = "training_args.json";

/** The folder of a run that starts now, in UTC: `runs/<date>-<mode>-<model>`. */
export function newRunDir({ mode, model }: Pick<TrainSettings, "mode" | "model">): string {
  const date = new Date().toISOString().slice(0, 19).replaceAll(":", "").replace("T", "-");
  const name = basename(model).replaceAll(/[^A-Za-z0-9._-]+/g, "-");
  return join(RUNS_DIR, `${date}-${mode}-${name}`);
}

/**
 * Makes the folder of a run and writes down what was asked for.
 *
 * A folder that is overwritten counts as unfinished from now on; its files are replaced one by one
 * when the new model is there.
 *
 * @throws {UserError} If the folder holds something and may not be overwritten, or holds no run.
 */
export async function prepareOutDir(
  dir: string,
  settings: TrainSettings,
  dataDir: string,
  { overwrite }: { overwrite: boolean },
): Promise<void> {
  await Deno.mkdir(dir, { recursive: true });
  const [first] = await Array.fromAsync(Deno.readDir(dir));
  if (first !== undefined) {
    const held = `Cannot write to '${dir}': it holds '${first.name}'`;
    if (!overwrite) throw new UserError(`${held}; use --overwrite or another --out`);
    if (!await exists(join(dir, TRAINING_ARGS_FILE))) {
      throw new UserError(`${held} and is not the folder of a run; use another --out`);
    }
    if (await exists(join(dir, METRICS_FILE))) await Deno.remove(join(dir, METRICS_FILE));
  }
  await writeJson(join(dir, TRAINING_ARGS_FILE), trainingArgs(settings, resolve(dataDir)));
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

/** What a run was asked for, as far as {@link TRAINING_ARGS_FILE} tells. */
const TrainingArgs = z.object({
  data: z.string(),
  max_train_samples: z.number().optional(),
  problem_type: z.enum(PROBLEM_TYPES).optional(),
});

/** The folder of the data that a model was trained on; `undefined` if its folder does not say. */
export async function dataDirOf(modelDir: string): Promise<string | undefined> {
  return (await readTrainingArgs(modelDir))?.data;
}

/** The texts that a model was trained on; `undefined` if they cannot be found. */
export async function trainingTextsOf(modelDir: string): Promise<Set<string> | undefined> {
  const args = await readTrainingArgs(modelDir);
  if (args === undefined) return undefined;
  const file = join(args.data, SPLIT_FILES.train);
  if (!await exists(file)) return undefined;
  const examples = await readExamples(file, args.problem_type);
  return new Set(examples.slice(0, args.max_train_samples).map(({ text }) => text));
}

async function readTrainingArgs(
  modelDir: string,
): Promise<z.infer<typeof TrainingArgs> | undefined> {
  const file = join(modelDir, TRAINING_ARGS_FILE);
  return await exists(file) ? await readJson(file, TrainingArgs) : undefined;
}
