/**
 * Looks for the settings that suit a data set, trial by trial, and trains with the best.
 *
 * @module
 */
import { join } from "node:path";
import { z } from "zod";
import type { Dataset } from "../data/dataset.ts";
import { exists, readJson, removeFolder, writeFileAtomically, writeJson } from "../lib/files.ts";
import { UserError } from "../lib/user_error.ts";
import { readConfig, tuningDefaults } from "../models/family.ts";
import { BUNDLED_MODEL, scratchSizeOf } from "../models/own_models.ts";
import { modelDir } from "../models/hub.ts";
import type { TrainEvent, TrainResult } from "./events.ts";
import { METRICS_FILE } from "./folder/run_folder.ts";
import { TRAINING_ARGS_FILE } from "./folder/training_args.ts";
import { type DataSize, TrainSettings, withModelDefaults } from "./settings.ts";
import { train } from "./train.ts";
import {
  bestOf,
  measured,
  newTrials,
  nextTrial,
  Trial,
  TrialResult,
  trialSettings,
  withTrial,
} from "./trials.ts";
import { tunePicture } from "./tune_picture.ts";

/** The file that holds the state of a search, in its folder. */
const TUNE_FILE = "tune.json";
/** The picture of a search, in its folder. */
export const TUNE_PICTURE = "tune.svg";
/** The folder of the trial that is being trained, in that of the search. */
const TRIAL_DIR = "trial";
/** The folder of the model that the search ends with, in that of the search. */
export const BEST_DIR = "best";

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
 * @throws {UserError} If no setting is left to search for.
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
  const trials = newTrials(settings, withModelDefaults(settings, suiting, size), { count, chosen });
  if (trials.length < Math.min(2, count)) {
    throw new UserError(
      "Cannot search for settings: none is left; leave out the learning rate or the epochs",
    );
  }
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
  const write = async () => {
    await writeJson(join(outDir, TUNE_FILE), search);
    await writeFileAtomically(join(outDir, TUNE_PICTURE), tunePicture(search));
  };
  await Deno.mkdir(outDir, { recursive: true });
  await write();

  for (let next; (next = nextTrial(search, dataset.train.length)) !== undefined;) {
    onTrial(search, next.trial, next.share);
    const trialDir = join(outDir, TRIAL_DIR);
    const result = {
      ...next,
      ...await runTrial(dataset, trialSettings(search, next), trialDir, signal),
    };
    results.push(result);
    await write();
    onTrial(search, next.trial, next.share, result);
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
): Promise<Pick<TrialResult, "seconds" | "value" | "interval">> {
  await removeFolder(dir);
  const started = performance.now();
  const { metrics } = await train({ ...dataset, test: [] }, {
    settings,
    outDir: dir,
    onEvent: () => {},
    ...signal && { signal },
  });
  const seconds = (performance.now() - started) / 1000;
  await removeFolder(dir);
  return { seconds, ...measured(settings, metrics) };
}
