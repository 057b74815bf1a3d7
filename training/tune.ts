/**
 * Looks for the settings that suit a data set: successive halving (Jamieson and Talwalkar, 2016,
 * "Non-stochastic best arm identification and hyperparameter optimization"). Many settings get a
 * quarter of the steps, the better half of them half, and the better half of those all. Validation
 * alone decides.
 *
 * @module
 */
import { join } from "node:path";
import { z } from "zod";
import type { Dataset } from "../data/dataset.ts";
import { exists, readJson, removeFolder, writeFileAtomically, writeJson } from "../lib/files.ts";
import { Random } from "../lib/random.ts";
import { readConfig, tuningDefaults } from "../models/family.ts";
import { BUNDLED_MODEL, scratchSizeOf } from "../models/own_models.ts";
import { modelDir } from "../models/hub.ts";
import type { TrainEvent, TrainResult } from "./events.ts";
import { METRICS_FILE } from "./folder/run_folder.ts";
import { TRAINING_ARGS_FILE } from "./folder/training_args.ts";
import { type Compared, comparisonOf, isBetter } from "./metrics.ts";
import { type DataSize, TrainSettings, withModelDefaults } from "./settings.ts";
import { stepPlan } from "./step_plan.ts";
import { train } from "./train.ts";
import { tunePicture } from "./tune_picture.ts";

/** The file that holds the state of a search, in its folder. */
const TUNE_FILE = "tune.json";
/** The picture of a search, in its folder. */
export const TUNE_PICTURE = "tune.svg";
/** The folder of the trial that is being trained, in that of the search. */
const TRIAL_DIR = "trial";
/** The folder of the model that the search ends with, in that of the search. */
export const BEST_DIR = "best";

/** The shares of the steps that trials get, one after the other. */
const RUNGS = [0.25, 0.5, 1] as const;
/** The largest factor between a rate and the default. */
const RATE_RANGE = 4;
const EPOCH_FACTORS = [0.5, 1, 1.5, 2];
const SIZES = [4, 8, 16, 32];
/** The time of the last run as a multiple of its steps': it also tests and writes the model. */
const LAST_RUN_FACTOR = 1.2;

const Trial = z.object({
  learningRate: z.number(),
  epochs: z.number(),
  loraRank: z.number().optional(),
  prefixLength: z.number().optional(),
});

/** Settings that are tried; the first trial's are the defaults. */
export type Trial = z.infer<typeof Trial>;

const TrialResult = z.object({
  /** The index of the trial. */
  trial: z.number(),
  /** The share of its steps that it got. */
  share: z.number(),
  steps: z.number(),
  seconds: z.number(),
  /** Its best validation value of the measure by which epochs are compared. */
  value: z.number(),
});

/** The result of a trial. */
export type TrialResult = z.infer<typeof TrialResult>;

const Search = z.object({
  settings: TrainSettings,
  data: z.string(),
  minutes: z.number().optional(),
  trials: z.array(Trial),
  results: z.array(TrialResult),
});

/** A search as {@link TUNE_FILE} holds it. */
export type Search = z.infer<typeof Search>;

/** Options of {@link tune}. */
export interface TuneOptions {
  outDir: string;
  search: Search;
  /** Called as the last run goes on. */
  onEvent: (event: TrainEvent) => void;
  /** Called for each trial before it begins, and again with its result. */
  onTrial: (search: Search, trial: number, share: number, result?: TrialResult) => void;
  signal?: AbortSignal | undefined;
}

/** The result of {@link tune}. */
export interface TuneResult {
  search: Search;
  /** The index of the trial that was trained again with all steps. */
  best: number;
  /** The result of that run, on the test file if there is one. */
  result: TrainResult;
}

/**
 * Makes a search that has not begun.
 *
 * @param options The number of trials, the minutes for all, the size of the training data, and the
 * settings that the user has chosen, which are not searched.
 */
export async function newSearch(
  settings: TrainSettings,
  data: string,
  { count, minutes, size, chosen = [] }: {
    count: number;
    minutes?: number | undefined;
    size: DataSize;
    chosen?: readonly (keyof TrainSettings)[];
  },
): Promise<Search> {
  const suiting = { defaults: await defaultsOf(settings) };
  const { learningRate, epochs } = withModelDefaults(settings, suiting, size);
  const random = new Random(settings.seed);
  const trials = Array.from({ length: count }, (_, i): Trial => {
    if (i === 0) return { learningRate, epochs };
    const factor = RATE_RANGE ** (2 * random.uniform() - 1);
    const epochFactor = EPOCH_FACTORS[random.integer(EPOCH_FACTORS.length)]!;
    const size = SIZES[random.integer(SIZES.length)]!;
    return {
      learningRate: settings.learningRate ?? Number((learningRate * factor).toPrecision(2)),
      epochs: settings.epochs ?? Math.max(1, Math.round(epochs * epochFactor)),
      ...settings.mode === "lora" && !chosen.includes("loraRank") && { loraRank: size },
      ...settings.mode === "prefix" && !chosen.includes("prefixLength") && { prefixLength: size },
    };
  });
  return { settings, data, minutes, trials, results: [] };
}

async function defaultsOf(
  settings: TrainSettings,
): Promise<{ learningRate: number; epochs: number }> {
  const { model } = settings;
  if (scratchSizeOf(model) !== undefined || model === BUNDLED_MODEL) {
    return withModelDefaults(settings);
  }
  return tuningDefaults(await readConfig(await modelDir(model)));
}

/** Reads the state of the search in a folder; `undefined` if there is none. */
export async function readSearch(outDir: string): Promise<Search | undefined> {
  const file = join(outDir, TUNE_FILE);
  return await exists(file) ? await readJson(file, Search) : undefined;
}

/**
 * Searches, from where the search was left, and trains the best again with all of its steps: that
 * run alone sees the test file.
 *
 * @throws The errors of `train`.
 */
export async function tune(dataset: Dataset, options: TuneOptions): Promise<TuneResult> {
  const { outDir, onEvent, onTrial, signal } = options;
  const { settings, data, minutes, trials } = options.search;
  const results = [...options.search.results];
  const search = { settings, data, minutes, trials, results };
  const planOf = (trial: number) =>
    stepPlan(dataset.train.length, withTrial(settings, trials[trial]!)).totalSteps;
  const write = async () => {
    await writeJson(join(outDir, TUNE_FILE), search);
    await writeFileAtomically(join(outDir, TUNE_PICTURE), tunePicture(search));
  };
  await Deno.mkdir(outDir, { recursive: true });
  await write();

  let survivors = [...trials.keys()];
  rungs: for (const share of RUNGS) {
    for (const trial of survivors) {
      const known = results.some((done) => done.trial === trial && done.share === share);
      if (known) continue;
      const steps = Math.ceil(share * planOf(trial));
      if (!hasTime(search, steps, planOf)) break rungs;
      onTrial(search, trial, share);
      const trialSettings = { ...withTrial(settings, trials[trial]!), maxSteps: steps };
      const measured = await runTrial(dataset, trialSettings, join(outDir, TRIAL_DIR), signal);
      const result = { trial, share, steps, ...measured };
      results.push(result);
      await write();
      onTrial(search, trial, share, result);
    }
    const ranked = rankedAt(search, share);
    // The defaults stay in, so that the best is compared with them.
    survivors = [...new Set([0, ...ranked.slice(0, Math.ceil(ranked.length / 2))])];
  }

  const best = bestOf(search);
  const bestDir = join(outDir, BEST_DIR);
  const wasBegun = await exists(join(bestDir, TRAINING_ARGS_FILE));
  const isFinished = await exists(join(bestDir, METRICS_FILE));
  const result = await train(dataset, {
    settings: withTrial(settings, trials[best]!),
    outDir: bestDir,
    resume: wasBegun && !isFinished,
    overwrite: true,
    onEvent,
    ...signal && { signal },
  });
  return { search, best, result };
}

/** Trains a trial in a folder that is empty before and after, without the test file. */
async function runTrial(
  dataset: Dataset,
  settings: TrainSettings,
  dir: string,
  signal: AbortSignal | undefined,
): Promise<Pick<TrialResult, "seconds" | "value">> {
  const comparison = comparisonOf(settings);
  let best: number | undefined;
  await removeFolder(dir);
  const started = performance.now();
  await train({ ...dataset, test: [] }, {
    settings: { ...settings, partner: "none" },
    outDir: dir,
    onEvent: (event) => {
      if (event.type !== "evaluation") return;
      const values: Partial<Record<Compared, number>> = event;
      const value = values[comparison.metric]!;
      if (best === undefined || isBetter(value, best, comparison)) best = value;
    },
    ...signal && { signal },
  });
  const seconds = (performance.now() - started) / 1000;
  await removeFolder(dir);
  return { seconds, value: best! };
}

function withTrial(
  settings: TrainSettings,
  { loraRank, prefixLength, ...trial }: Trial,
): TrainSettings & { epochs: number } {
  return {
    ...settings,
    ...trial,
    ...loraRank !== undefined && { loraRank },
    ...prefixLength !== undefined && { prefixLength },
  };
}

/** Whether a trial of `steps` steps, and the last run after it, end within the minutes. */
function hasTime(search: Search, steps: number, planOf: (trial: number) => number): boolean {
  const { minutes, results } = search;
  if (minutes === undefined || results.length === 0) return true;
  const spent = results.reduce((sum, { seconds }) => sum + seconds, 0);
  const secondsPerStep = spent / results.reduce((sum, { steps }) => sum + steps, 0);
  const last = planOf(bestOf(search)) * secondsPerStep * LAST_RUN_FACTOR;
  return spent + steps * secondsPerStep + last <= 60 * minutes;
}

/** The trials that got a share of their steps, the best first; of equal ones the first tried. */
function rankedAt({ settings, results }: Search, share: number): number[] {
  const comparison = comparisonOf(settings);
  return results.filter((result) => result.share === share)
    .sort((a, b) =>
      isBetter(a.value, b.value, comparison) ? -1 : isBetter(b.value, a.value, comparison) ? 1 : 0
    )
    .map(({ trial }) => trial);
}

/** The best of the trials that got the largest share of their steps. */
export function bestOf(search: Search): number {
  const most = search.results.reduce((most, { share }) => Math.max(most, share), 0);
  // A share that not all trials have reached compares only a few.
  return rankedAt(search, most)[0] ?? 0;
}
