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
import { type Compared, type Comparison, comparisonOf, isBetter } from "./metrics.ts";
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
/** The standard errors on each side of a value in a 95 % interval. */
const NORMAL_95 = 1.96;

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
  /** The metric by which trials are compared, on the validation file. */
  value: z.number(),
  /** Its 95 % interval. */
  interval: z.tuple([z.number(), z.number()]),
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

/** The settings of a trial's own run. */
export function trialSettings(
  { settings, trials }: Trials,
  { trial, steps }: NextTrial,
): TrainSettings {
  return { ...withTrial(settings, trials[trial]!), maxSteps: steps };
}

/**
 * The trial that is to be run next; `undefined` when the search is over. Where the minutes do not
 * allow for more trials with a share of their steps, the best so far go on to the next share.
 *
 * @param examples The number of training examples.
 */
export function nextTrial(search: Trials, examples: number): NextTrial | undefined {
  const { trials, results, failed = [] } = search;
  const largest = largestShare(results);
  let survivors = [...trials.keys()];
  for (const share of RUNGS) {
    const trial = survivors.find((trial) =>
      !failed.includes(trial) && resultOf(results, trial, share) === undefined
    );
    // Trials that there was no time for are not taken up again.
    if (trial !== undefined && share >= largest) {
      const next = { trial, share, steps: Math.ceil(share * stepsOf(search, trial, examples)) };
      if (hasTime(search, next, examples)) return next;
    }
    const ranked = rankedAt(search, share);
    // The defaults stay in, so that the best is compared with them.
    survivors = [...new Set([0, ...ranked.slice(0, Math.ceil(ranked.length / 2))])];
    if (survivors.length === 1) return undefined;
  }
  return undefined;
}

/**
 * Whether a trial ends within the minutes, and after it the defaults and the best so far with all of
 * their steps, and the last run.
 */
function hasTime(search: Trials, next: NextTrial, examples: number): boolean {
  const { minutes, results } = search;
  // The first trial shows how long the others take.
  if (minutes === undefined || results.length === 0) return true;
  const spent = results.reduce((sum, { seconds }) => sum + seconds, 0);
  const secondsPerStep = spent / results.reduce((sum, { steps }) => sum + steps, 0);
  // The trial may become the best, and take longer than the best so far.
  const length = (trial: number) => stepsOf(search, trial, examples);
  const [longest] = [leaderOf(search), next.trial].sort((a, b) => length(b) - length(a));
  const finalists = [...new Set([0, longest!])];
  let steps = next.steps;
  for (const share of RUNGS.filter((share) => share >= next.share)) {
    for (const trial of finalists) {
      const isNext = trial === next.trial && share === next.share;
      if (isNext || resultOf(results, trial, share) !== undefined) continue;
      steps += share * length(trial);
    }
  }
  const last = Math.max(...finalists.map(length));
  return spent + (steps + LAST_RUN_FACTOR * last) * secondsPerStep <= 60 * minutes;
}

/** The steps of a run with the settings of a trial. */
function stepsOf({ settings, trials }: Trials, trial: number, examples: number): number {
  return stepPlan(examples, withTrial(settings, trials[trial]!)).totalSteps;
}

function resultOf(
  results: readonly TrialResult[],
  trial: number,
  share: number,
): TrialResult | undefined {
  return results.find((result) => result.trial === trial && result.share === share);
}

/**
 * The measure by which trials are compared: a metric of the finished model, with its partner. The
 * loss is none, as it is that of the network alone.
 */
export function trialComparison({ problemType, metric }: TrainSettings): Comparison {
  return comparisonOf({ problemType, metric: metric === "loss" ? undefined : metric });
}

/** The value and interval of a trial, from the metrics of its run on the validation file. */
export function measured(
  settings: TrainSettings,
  metrics: { interval: object },
): Pick<TrialResult, "value" | "interval"> {
  const { metric } = trialComparison(settings);
  const values = metrics as Partial<Record<Compared, number>>;
  const intervals = metrics.interval as Partial<Record<Compared, [number, number]>>;
  return { value: values[metric]!, interval: intervals[metric]! };
}

/** The trials that got a share of their steps, the best first; of equal ones the first tried. */
function rankedAt({ settings, results }: Trials, share: number): number[] {
  const comparison = trialComparison(settings);
  return results.filter((result) => result.share === share)
    .sort((a, b) =>
      isBetter(a.value, b.value, comparison) ? -1 : isBetter(b.value, a.value, comparison) ? 1 : 0
    )
    .map(({ trial }) => trial);
}

/** The best of the trials with the largest share of their steps so far. */
function leaderOf(search: Trials): number {
  return rankedAt(search, largestShare(search.results))[0] ?? 0;
}

function largestShare(results: readonly TrialResult[]): number {
  return results.reduce((largest, { share }) => Math.max(largest, share), 0);
}

/**
 * The best of the trials that got all of their steps, if it is better than the defaults by more than
 * its standard error, else the defaults: the best of many is always a little too good on the texts
 * by which it was chosen (the rule of one standard error of Breiman, Friedman, Olshen and Stone,
 * 1984, "Classification and Regression Trees").
 */
export function bestOf(search: Trials): number {
  const [best = 0] = rankedAt(search, 1);
  const defaults = resultOf(search.results, 0, 1);
  if (best === 0 || defaults === undefined) return best;
  const { value, interval: [low, high] } = resultOf(search.results, best, 1)!;
  const standardError = (high - low) / (2 * NORMAL_95);
  return Math.abs(value - defaults.value) > standardError ? best : 0;
}
