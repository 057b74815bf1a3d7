/**
 * Runs that no server has started: those of `train` on the command line, whose folders are among
 * the server's. They are read from their files alone, so that they are right however a run ended.
 *
 * @module
 */
import { basename, isAbsolute, join } from "node:path";
import { z } from "zod";
import { PROBLEM_TYPES } from "../data/labels.ts";
import { exists, readJson } from "../lib/files.ts";
import { mapAtOnce } from "../lib/map_at_once.ts";
import { mapKeys, snakeCase } from "../lib/snake_case.ts";
import { MEASURED_SPLITS } from "../training/evaluation.ts";
import { lastCheckpoint } from "../training/folder/checkpoints.ts";
import { isLocked, METRICS_FILE } from "../training/folder/run_folder.ts";
import {
  EVALUATION_PREFIX,
  headlineOf,
  StoredTrainerState,
  TRAINER_STATE_FILE,
} from "../training/folder/trainer_state.ts";
import {
  isPretraining,
  readTrainingArgs,
  TRAINING_ARGS_FILE,
  type TrainingArgs,
} from "../training/folder/training_args.ts";
import { comparisonOf, isBetter } from "../training/metrics.ts";
import type { EvaluationEvent } from "../training/events.ts";
import { type RunHistory, STEP_COLUMNS, thinned } from "./run_history.ts";
import { newestFirst, newRun, type Run, type RunProgress, type RunResult } from "./run_store.ts";

/** A run that the server shows, but neither stops nor resumes. */
export interface FolderRun extends Omit<Run, "progress" | "result"> {
  read_only: true;
  /** The path of the run's folder, below the one that the server was given. */
  folder: string;
  progress?: Omit<RunProgress, "device"> | undefined;
  result?: Pick<RunResult, "steps" | "epochs" | "best_epoch" | "metrics"> | undefined;
}

/** The part of a finished run's figures that all kinds of problems have. */
const Metrics = z.looseObject({
  problem_type: z.enum(PROBLEM_TYPES),
  split: z.enum(MEASURED_SPLITS),
  n: z.int(),
  interval: z.record(z.string(), z.array(z.number())),
});

/** The runs of a folder. */
export class FolderRuns {
  readonly #dir: string;
  /** The finished runs by name; an entry is valid as long as the run's figures stay the same. */
  readonly #finished = new Map<string, { finishedAt: string; run: FolderRun }>();

  /** @param dir The folder of all runs. */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /** A run by the name of its folder, which may be any text. */
  async get(name: string): Promise<FolderRun | undefined> {
    if (!/^[^./\\\0][^/\\\0]*$/.test(name) || name.length > MAX_NAME) return undefined;
    const created_at = await timeOf(join(this.#dir, name, TRAINING_ARGS_FILE));
    return created_at === undefined ? undefined : await this.#read(name, created_at);
  }

  /**
   * Yields runs, the newest first; runs that nobody asks for are not read.
   *
   * @param after The run after which to begin.
   */
  async *newest(after?: Pick<Run, "id" | "created_at">): AsyncGenerator<FolderRun> {
    const names = (await Array.fromAsync(Deno.readDir(this.#dir))).map(({ name }) => name);
    // Folders whose names are UUIDs are the server's own.
    const others = names.filter((name) => !UUID.test(name));
    const found = await mapAtOnce(others, FOLDERS_AT_ONCE, async (id) => {
      const created_at = await timeOf(join(this.#dir, id, TRAINING_ARGS_FILE));
      return created_at === undefined ? [] : [{ id, created_at }];
    });
    for (const entry of found.flat().sort(newestFirst)) {
      if (after !== undefined && newestFirst(entry, after) <= 0) continue;
      const run = await this.#read(entry.id, entry.created_at);
      if (run !== undefined) yield run;
    }
  }

  /**
   * A run so far: the steps that it has written down, each of them a mean of several.
   *
   * @param points About how many steps to give.
   */
  async history(run: FolderRun, points: number): Promise<RunHistory> {
    const dir = join(this.#dir, run.id);
    const course = await courseOf(dir);
    const entries = course?.log_history ?? [];
    const logged = entries.filter((entry) => typeof entry["grad_norm"] === "number");
    const steps = Object.fromEntries(
      STEP_COLUMNS.map((column) => [column, logged.map((entry) => entry[column] ?? 0)]),
    ) as unknown as RunHistory["steps"];
    const { settings } = await readTrainingArgs(dir);
    return thinned({
      steps,
      evaluations: evaluationsOf(entries, settings),
      log: [],
      last_event_id: 0,
    }, points);
  }

  /** Reads a run; `undefined` if the folder is being made or removed, or is damaged. */
  async #read(id: string, created_at: string): Promise<FolderRun | undefined> {
    const dir = join(this.#dir, id);
    const finishedAt = await timeOf(join(dir, METRICS_FILE));
    const known = this.#finished.get(id);
    if (known !== undefined && known.finishedAt === finishedAt) return known.run;
    try {
      if (await isPretraining(dir)) return undefined;
      const run = await readRun(dir, created_at, finishedAt);
      if (finishedAt !== undefined) this.#finished.set(id, { finishedAt, run });
      return run;
    } catch {
      return undefined;
    }
  }
}

const MAX_NAME = 200;
/** The number of folders that are read at the same time. */
const FOLDERS_AT_ONCE = 32;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

async function readRun(dir: string, created_at: string, finishedAt?: string): Promise<FolderRun> {
  const { settings, dataDir } = await readTrainingArgs(dir);
  const running = finishedAt === undefined && await isLocked(dir);
  const course = await courseOf(dir);
  const checkpoint = await lastCheckpoint(dir);
  const id = basename(dir);
  const { model, ...others } = settings;
  const run = newRun({
    id,
    name: id,
    // Paths are hidden.
    settings: mapKeys<unknown>(
      { model: isAbsolute(model) ? basename(model) : model, ...others },
      snakeCase,
    ),
    base: model,
    dataset: basename(dataDir),
    created_at,
    started_at: created_at,
    attempt: 1,
    checkpoint_step: Number(/\d+$/.exec(checkpoint ?? "")?.[0] ?? 0),
    state: finishedAt !== undefined ? "succeeded" : running ? "running" : "cancelled",
    finished_at: running
      ? undefined
      : finishedAt ?? await timeOf(join(dir, TRAINER_STATE_FILE)) ?? created_at,
  });
  const evaluations = evaluationsOf(course?.log_history ?? [], settings);
  const progress = course && progressOf(course, evaluations);
  const result = course && finishedAt !== undefined
    ? await resultOf(dir, course, evaluations)
    : undefined;
  return { ...run, read_only: true, folder: dir, progress, result };
}

function progressOf(
  course: Course,
  evaluations: readonly EvaluationEvent[],
): FolderRun["progress"] {
  const { global_step: step, epoch, num_train_epochs: epochs, max_steps } = course;
  const last = course.log_history.findLast((entry) => typeof entry["grad_norm"] === "number");
  const best = evaluations.findLast((evaluation) => evaluation.best);
  const tokens = last?.["tokens_per_second"];
  return {
    step,
    steps: max_steps > 0 ? max_steps : Math.round(step * epochs / epoch),
    epoch,
    epochs,
    ...typeof last?.["loss"] === "number" && { loss: last["loss"] },
    ...typeof tokens === "number" && { tokens_per_second: tokens },
    ...best !== undefined && { best },
  };
}

async function resultOf(
  dir: string,
  { global_step: steps, epoch: epochs }: Course,
  evaluations: readonly EvaluationEvent[],
): Promise<FolderRun["result"]> {
  const { per_class: _, confusion_matrix: __, ...metrics } = await readJson(
    join(dir, METRICS_FILE),
    Metrics,
  );
  return {
    steps,
    epochs,
    best_epoch: evaluations.findLastIndex(({ best }) => best) + 1,
    metrics: metrics as unknown as RunResult["metrics"],
  };
}

/** The course of a run, and its number of steps in all. */
const Course = StoredTrainerState.extend({
  epoch: z.number(),
  max_steps: z.number(),
  num_train_epochs: z.number(),
});
type Course = z.infer<typeof Course>;

/** The progress of a run by its folder; `undefined` before its first steps. */
async function courseOf(dir: string): Promise<Course | undefined> {
  const file = join(dir, TRAINER_STATE_FILE);
  if (!await exists(file)) return undefined;
  const course = await readJson(file, Course);
  return course.global_step > 0 ? course : undefined;
}

function evaluationsOf(
  entries: Course["log_history"],
  settings: TrainingArgs["settings"],
): EvaluationEvent[] {
  const comparison = comparisonOf(settings);
  let best: number | undefined;
  return entries.flatMap((entry) => {
    const metrics = headlineOf(entry, settings.problemType);
    if (metrics === undefined) return [];
    const value = entry[EVALUATION_PREFIX + comparison.metric] ?? Infinity;
    const isBest = best === undefined || isBetter(value, best, comparison);
    if (isBest) best = value;
    return {
      type: "evaluation",
      step: entry["step"] ?? 0,
      epoch: entry["epoch"] ?? 0,
      loss: entry[`${EVALUATION_PREFIX}loss`] ?? Infinity,
      ...metrics,
      best: isBest,
    } as const;
  });
}

/** When a file was written; `undefined` if there is none, or something that cannot be read. */
async function timeOf(file: string): Promise<string | undefined> {
  const info = await Deno.stat(file).catch(() => undefined);
  return info?.isFile ? (info.mtime ?? new Date(0)).toISOString() : undefined;
}
