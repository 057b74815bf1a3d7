/**
 * The state from which a run goes on: `trainer_state.json`, with transformers' keys and no others,
 * which its `TrainerState` would refuse.
 *
 * @module
 */
import { z } from "zod";
import type { ProblemType } from "../../data/labels.ts";
import { type Comparison, comparisonOf, type Headline, isBetter, METRICS } from "../metrics.ts";
import { type LogEntry, RunLog } from "./run_log.ts";
import type { TrainSettings } from "../settings.ts";
import { mapKeys } from "../../lib/snake_case.ts";

/** The file that tells the course of a run, in its folder and in those of its checkpoints. */
export const TRAINER_STATE_FILE = "trainer_state.json";

/** The prefix of the names of measures on the validation file. */
export const EVALUATION_PREFIX = "eval_";

/** The part of `trainer_state.json` from which a run goes on. */
export const StoredTrainerState = z.object({
  global_step: z.number().int().nonnegative(),
  best_global_step: z.number().int().nullable(),
  // JSON has no infinity, which a loss may be, and writes null.
  log_history: z.array(z.record(z.string(), z.number().nullable())),
});

/** See the schema of the same name. */
export type StoredTrainerState = z.infer<typeof StoredTrainerState>;

/** The evaluation that was the best. */
export interface BestEvaluation {
  step: number;
  /** Counted from 1. */
  epoch: number;
  metrics: Headline;
  /** The value of the measure by which epochs are compared. */
  value: number;
}

/** The state of a training run. */
export class TrainerState extends RunLog {
  /** The number of epochs that are done, their evaluation included. */
  epochsDone = 0;
  best: BestEvaluation | undefined;
  readonly #settings: TrainSettings & { epochs: number };
  readonly #comparison: Comparison;

  /** @param stored The state in which an earlier process has left the run. */
  constructor(
    settings: TrainSettings & { epochs: number },
    stepsPerEpoch: number,
    stored?: StoredTrainerState,
  ) {
    super(stepsPerEpoch, stored);
    this.#settings = settings;
    this.#comparison = comparisonOf(settings);
    if (stored === undefined) return;
    for (const entry of stored.log_history) {
      const metrics = headlineOf(entry, settings.problemType);
      if (metrics === undefined) continue;
      this.epochsDone++;
      if (entry["step"] !== stored.best_global_step) continue;
      // JSON has written an infinite loss as null.
      const value = entry[EVALUATION_PREFIX + this.#comparison.metric] ?? Infinity;
      this.best = { step: entry["step"]!, epoch: this.epochsDone, metrics, value };
    }
  }

  /** Adds the evaluation that ends an epoch; returns whether it is the best so far. */
  addEvaluation(loss: number, metrics: Headline): boolean {
    this.epochsDone++;
    const { problem_type: _type, ...values } = metrics;
    const all: Record<string, number> = { loss, ...values };
    this.addEntry(mapKeys<number>(all, (name) => EVALUATION_PREFIX + name));
    const value = all[this.#comparison.metric]!;
    const isBest = this.best === undefined || isBetter(value, this.best.value, this.#comparison);
    if (isBest) this.best = { step: this.step, epoch: this.epochsDone, metrics, value };
    return isBest;
  }

  /** Whether as many epochs as the settings allow have passed without a better one. */
  get outOfPatience(): boolean {
    const { patience = Infinity } = this.#settings;
    return this.epochsDone - (this.best?.epoch ?? 0) >= patience;
  }

  /**
   * The content of {@link TRAINER_STATE_FILE}.
   *
   * @param checkpointOf The folder of a step's checkpoint, relative to the run's.
   */
  toJSON(checkpointOf: (step: number) => string): Record<string, unknown> {
    const { best } = this;
    return {
      best_global_step: best?.step ?? null,
      best_metric: best?.value ?? null,
      best_model_checkpoint: best === undefined ? null : checkpointOf(best.step),
      ...this.course,
      max_steps: this.#settings.maxSteps ?? -1,
      num_train_epochs: this.#settings.epochs,
      train_batch_size: this.#settings.batchSize,
    };
  }
}

/** The metrics of an evaluation's entry; `undefined` for a step's. */
export function headlineOf(entry: LogEntry, problemType: ProblemType): Headline | undefined {
  const metrics = METRICS[problemType].map((metric) => [metric, entry[EVALUATION_PREFIX + metric]]);
  if (metrics.some(([, value]) => value == null)) return undefined;
  return { problem_type: problemType, ...Object.fromEntries(metrics) };
}
