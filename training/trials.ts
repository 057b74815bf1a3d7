/**
 * The trials of a search for settings, by successive halving (Jamieson and Talwalkar, 2016,
 * "Non-stochastic best arm identification and hyperparameter optimization"). Many settings get a
 * quarter of the steps, the better half of them half, and the better half of those all. Validation
 * alone decides.
 *
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { Random } from "../lib/random.ts";
import type { RateAndEpochs } from "../models/tuners/tuner.ts";
import type { EvaluationEvent } from "./events.ts";
import { type Compared, comparisonOf, isBetter } from "./metrics.ts";
import type { TrainSettings } from "./settings.ts";
import { stepPlan } from "./step_plan.ts";

/** The shares of the steps that trials get, one after the other. */
export const RUNGS = [0.25, 0.5, 1] as const;
/** The largest factor between a rate and the default. */
const RATE_RANGE = 4;
const EPOCH_FACTORS = [0.5, 1, 1.5, 2];
const SIZES = [4, 8, 16, 32];
/** The most draws for each trial; some give settings that are tried already. */
const DRAWS = 20;
/** The time of the last run as a multiple of its steps': it also tests and writes the model. */
const LAST_RUN_FACTOR = 1.2;

/** The schema of {@link Trial}. */
export const Trial = z.object({
  learningRate: z.number(),
  epochs: z.number(),
  loraRank: z.number().optional(),
  prefixLength: z.number().optional(),
});

/** Settings that are tried; the first trial's are the defaults. */
export type Trial = z.infer<typeof Trial>;

/** The schema of {@link TrialResult}. */
export const TrialResult = z.object({
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

/** A trial that is to be run, with a share of its steps. */
export interface NextTrial {
  trial: number;
  share: number;
  steps: number;
}

/** The trials of a search, and what is known of them. */
export interface Trials {
  settings: TrainSettings;
  /** The minutes that all may take together, with the last run. */
  minutes?: number | undefined;
  trials: readonly Trial[];
  results: readonly TrialResult[];
  /** The indices of trials that have no result and will get none. */
  failed?: readonly number[];
}

/**
 * Makes trials: the defaults, and settings around them. There are fewer where few settings are left
 * to choose.
 *
 * @param defaults The rate and epochs of a run with these settings.
 * @param options The number of trials, and the settings that the user has chosen, which stay.
 */
export function newTrials(
  settings: TrainSettings,
  { learningRate, epochs }: RateAndEpochs,
  { count, chosen }: { count: number; chosen: readonly (keyof TrainSettings)[] },
): Trial[] {
  const random = new Random(settings.seed);
  const trials: Trial[] = [{ learningRate, epochs }];
  for (let draws = 0; trials.length < count && draws < DRAWS * count; draws++) {
    const factor = RATE_RANGE ** (2 * random.uniform() - 1);
    const epochFactor = EPOCH_FACTORS[random.integer(EPOCH_FACTORS.length)]!;
    const size = SIZES[random.integer(SIZES.length)]!;
    const trial = {
      learningRate: settings.learningRate ?? Number((learningRate * factor).toPrecision(2)),
      epochs: settings.epochs ?? Math.max(1, Math.round(epochs * epochFactor)),
      ...settings.mode === "lora" && !chosen.includes("loraRank") && { loraRank: size },
      ...settings.mode === "prefix" && !chosen.includes("prefixLength") && { prefixLength: size },
    };
    if (!trials.some((other) => isDeepStrictEqual(other, trial))) trials.push(trial);
  }
  return trials;
}

/** The settings of a run with those of a trial. */
export function withTrial(
  settings: TrainSettings,
  { loraRank, prefixLength, ...trial }: Trial,
): TrainSettings & RateAndEpochs {
  return {
    ...settings,
    ...trial,
    ...loraRank !== undefined && { loraRank },
    ...prefixLength !== undefined && { prefixLength },
  };
}

/** The settings of a trial's own run, which has no partner: that is fitted to the chosen network. */
export function trialSettings(
  { settings, trials }: Trials,
  { trial, steps }: NextTrial,
): TrainSettings {
  return { ...withTrial(settings, trials[trial]!), partner: "none", maxSteps: steps };
}

/**
 * The trials that are to be run next, which do not depend on one another: all that are left with
 * the same share of steps, but no more than end within the minutes. There are none when the search
 * is over.
 *
 * @param examples The number of training examples.
 */
export function nextTrials(search: Trials, examples: number): NextTrial[] {
  const { settings, trials, results, failed = [] } = search;
  const planOf = (trial: number) =>
    stepPlan(examples, withTrial(settings, trials[trial]!)).totalSteps;
  let survivors = [...trials.keys()];
  for (const share of RUNGS) {
    const left = survivors.filter((trial) =>
      !failed.includes(trial) &&
      !results.some((done) => done.trial === trial && done.share === share)
    ).map((trial) => ({ trial, share, steps: Math.ceil(share * planOf(trial)) }));
    if (left.length > 0) return withinMinutes(search, left, planOf);
    const ranked = rankedAt(search, share);
    // The defaults stay in, so that the best is compared with them.
    survivors = [...new Set([0, ...ranked.slice(0, Math.ceil(ranked.length / 2))])];
  }
  return [];
}

/** The first of some trials that end, with the last run after them, within the minutes. */
function withinMinutes(
  search: Trials,
  next: NextTrial[],
  planOf: (trial: number) => number,
): NextTrial[] {
  const { minutes, results } = search;
  if (minutes === undefined) return next;
  // The first trial shows how long the others take.
  if (results.length === 0) return next.slice(0, 1);
  let seconds = results.reduce((sum, { seconds }) => sum + seconds, 0);
  const secondsPerStep = seconds / results.reduce((sum, { steps }) => sum + steps, 0);
  seconds += planOf(bestOf(search)) * secondsPerStep * LAST_RUN_FACTOR;
  const end = next.findIndex(({ steps }) => (seconds += steps * secondsPerStep) > 60 * minutes);
  return end === -1 ? next : next.slice(0, end);
}

/** The best of a trial's values of the measure by which epochs are compared; it has at least one. */
export function bestValue(
  settings: TrainSettings,
  evaluations: readonly EvaluationEvent[],
): number {
  const comparison = comparisonOf(settings);
  const values = evaluations.map((event: Partial<Record<Compared, number>>) =>
    event[comparison.metric]!
  );
  return values.reduce((best, value) => isBetter(value, best, comparison) ? value : best);
}

/** The trials that got a share of their steps, the best first; of equal ones the first tried. */
function rankedAt({ settings, results }: Trials, share: number): number[] {
  const comparison = comparisonOf(settings);
  return results.filter((result) => result.share === share)
    .sort((a, b) =>
      isBetter(a.value, b.value, comparison) ? -1 : isBetter(b.value, a.value, comparison) ? 1 : 0
    )
    .map(({ trial }) => trial);
}

/** The best of the trials that got the largest share of their steps. */
export function bestOf(search: Trials): number {
  const most = search.results.reduce((most, { share }) => Math.max(most, share), 0);
  // A share that not all trials have reached compares only a few.
  return rankedAt(search, most)[0] ?? 0;
}
