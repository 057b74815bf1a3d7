/**
 * Searches for the settings of runs before they are trained. Each trial is a run of its own, which
 * the worker that has the tuned run trains.
 *
 * @module
 */
import { camelCase, mapKeys, snakeCase } from "../lib/snake_case.ts";
import { TrainSettings } from "../training/settings.ts";
import {
  bestOf,
  measured,
  type NextTrial,
  nextTrial,
  RUNGS,
  Trial,
  type TrialResult,
  type Trials,
  trialSettings,
} from "../training/trials.ts";
import {
  type AttemptedRun,
  isOver,
  newRun,
  type Run,
  type RunStore,
  type Tuning,
} from "./run_store.ts";

/** A run whose settings are searched for. */
export type TunedRun = Run & { tuning: Tuning };

/** Whether the settings of a run are still searched for. */
export function isTuning(run: Run): run is TunedRun {
  return run.tuning !== undefined && run.tuning.best === undefined;
}

/** The state of searches, as runs hold it: those for which settings are tried, and the trials. */
export class TuningWork {
  readonly #store: RunStore;

  /** @param store The store of the runs and of their trials. */
  constructor(store: RunStore) {
    this.#store = store;
  }

  /** The runs that are or were trials of a run. */
  async trialsOf({ id, tuning }: Run): Promise<Run[]> {
    if (tuning === undefined) return [];
    const ids = tuning.trials.flatMap((_, trial) =>
      RUNGS.map((share) => trialId(id, { trial, share }))
    );
    const runs = await Promise.all(ids.map((id) => this.#store.get(id)));
    return runs.filter((run) => run !== undefined);
  }

  /**
   * Takes in the results of a run's trials so far.
   *
   * @returns The id of the trial that comes next, which may have begun; `undefined` if the search is
   * over, and the run has the settings of the best.
   * @throws {Error} If no trial has succeeded.
   */
  async nextTrial(own: AttemptedRun, run: TunedRun): Promise<string | undefined> {
    const runs = new Map((await this.trialsOf(run)).map((trial) => [trial.id, trial]));
    const tuning = this.#withResults(run, runs);
    const search = searchOf(run, tuning);
    const next = nextTrial(search, tuning.examples);
    if (next === undefined) {
      if (tuning.results.length === 0) throw new Error(reasonOf([...runs.values()]));
      const best = bestOf(search);
      const settings = { ...run.settings, ...tuning.trials[best] };
      await own.change({ settings, tuning: { ...tuning, best } });
      return undefined;
    }
    await own.change({ tuning });
    const trial = newTrialRun(run, search, next);
    if (!runs.has(trial.id)) await this.#store.create(trial);
    return trial.id;
  }

  /** The search with what the runs of its trials have come to. */
  #withResults(
    { id, settings, tuning }: TunedRun,
    runs: ReadonlyMap<string, Run>,
  ): Tuning {
    const results = [...tuning.results];
    const failed = new Set(tuning.failed);
    for (const share of RUNGS) {
      for (const trial of tuning.trials.keys()) {
        const run = runs.get(trialId(id, { trial, share }));
        if (run === undefined) continue;
        failed.delete(trial);
        const isKnown = results.some((done) => done.trial === trial && done.share === share);
        if (isKnown || !isOver(run)) continue;
        if (run.state === "succeeded") results.push(resultOf(run, settings, { trial, share }));
        else failed.add(trial);
      }
    }
    return { ...tuning, results, failed: [...failed] };
  }
}

function resultOf(
  { result, started_at, finished_at }: Run,
  settings: Run["settings"],
  trial: Pick<NextTrial, "trial" | "share">,
): TrialResult {
  const { steps, metrics } = result!;
  const seconds = (Date.parse(finished_at!) - Date.parse(started_at!)) / 1000;
  return { ...trial, steps, seconds, ...measured(trainSettings(settings), metrics) };
}

/** The run of a trial, before it begins. */
function newTrialRun(
  { id, name, base, dataset, worker_label }: Run,
  search: Trials,
  trial: NextTrial,
): Run {
  return newRun({
    id: trialId(id, trial),
    name: `${name}, trial ${trial.trial + 1} with ${100 * trial.share} % of its steps`,
    settings: mapKeys(trialSettings(search, trial), snakeCase),
    ...{ base, dataset, worker_label, trial_of: id },
  });
}

/** Why a search has come to nothing. */
function reasonOf(trials: readonly Run[]): string {
  const error = trials.find((trial) => trial.error !== undefined)?.error;
  return `no settings could be tried: ${error ?? "all trials were cancelled"}`;
}

/** A search that has not begun. */
export function newTuning(
  trials: readonly Trial[],
  limits: Pick<Tuning, "examples" | "minutes">,
): Tuning {
  const settings = trials.map(({ learningRate, epochs, loraRank, prefixLength }) => ({
    learning_rate: learningRate,
    epochs,
    ...loraRank !== undefined && { lora_rank: loraRank },
    ...prefixLength !== undefined && { prefix_length: prefixLength },
  }));
  return { ...limits, trials: settings, results: [], failed: [] };
}

/** The id of a trial's run, by which it is found again. */
function trialId(id: string, { trial, share }: Pick<NextTrial, "trial" | "share">): string {
  return `${id}-trial-${trial + 1}-${100 * share}`;
}

function searchOf({ settings }: Run, { minutes, trials, results, failed }: Tuning): Trials {
  return {
    settings: trainSettings(settings),
    minutes,
    trials: trials.map((trial) => Trial.parse(mapKeys({ ...trial }, camelCase))),
    results,
    failed,
  };
}

function trainSettings(settings: Run["settings"]): TrainSettings {
  return TrainSettings.parse(mapKeys(settings, camelCase));
}
