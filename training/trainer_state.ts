/**
 * The course of a run as far as it matters to what comes next: `trainer_state.json`, with
 * transformers' keys and no others, which its `TrainerState` would refuse.
 *
 * @module
 */
import { z } from "zod";
import type { ProblemType } from "../data/labels.ts";
import type { StepEvent } from "./events.ts";
import { bestMetricOf, type Headline, isBetter, METRICS } from "./metrics.ts";
import type { TrainSettings } from "./settings.ts";
import { mapKeys } from "./snake_case.ts";

/** The file that tells the course of a run, in its folder and in those of its checkpoints. */
export const TRAINER_STATE_FILE = "trainer_state.json";

/** Between two entries of the log, in steps. */
export const LOGGING_STEPS = 50;

const EVALUATION_PREFIX = "eval_";

/** The part of `trainer_state.json` from which a run goes on. */
export const StoredTrainerState = z.object({
  global_step: z.number().int().nonnegative(),
  best_global_step: z.number().int().nullable(),
  // JSON has no infinity, which a loss may be, and writes null.
  log_history: z.array(z.record(z.string(), z.number().nullable())),
});

/** See the schema of the same name. */
export type StoredTrainerState = z.infer<typeof StoredTrainerState>;

type LogEntry = Record<string, number | null>;

/** The evaluation that was the best. */
export interface BestEvaluation {
  step: number;
  /** Counted from 1. */
  epoch: number;
  metrics: Headline;
}

/** Where a run stands. */
export class TrainerState {
  /** Optimizer steps that are done. */
  step = 0;
  /** Epochs that are done, their evaluation included. */
  epochsDone = 0;
  best: BestEvaluation | undefined;
  readonly #settings: TrainSettings & { epochs: number };
  readonly #stepsPerEpoch: number;
  readonly #log: LogEntry[] = [];
  /** The losses since the last entry of the log. */
  #losses: number[] = [];

  /** @param stored Where an earlier process has left the run. */
  constructor(
    settings: TrainSettings & { epochs: number },
    stepsPerEpoch: number,
    stored?: StoredTrainerState,
  ) {
    this.#settings = settings;
    this.#stepsPerEpoch = stepsPerEpoch;
    if (stored === undefined) return;
    this.step = stored.global_step;
    for (const entry of stored.log_history) {
      this.#log.push(entry);
      const metrics = headlineOf(entry, settings.problemType);
      if (metrics === undefined) continue;
      this.epochsDone++;
      if (entry["step"] !== stored.best_global_step) continue;
      this.best = { step: entry["step"]!, epoch: this.epochsDone, metrics };
    }
  }

  /** How much of the training file has been seen, such as 1.5. */
  get epoch(): number {
    return this.step / this.#stepsPerEpoch;
  }

  /** Takes note of a step. */
  addStep({ step, epoch, loss, grad_norm, learning_rate }: StepEvent): void {
    this.step = step;
    this.#losses.push(loss);
    if (step % LOGGING_STEPS !== 0) return;
    const mean = this.#losses.reduce((sum, loss) => sum + loss, 0) / this.#losses.length;
    this.#log.push({ epoch, step, loss: mean, grad_norm, learning_rate });
    this.#losses = [];
  }

  /** Takes note of the evaluation that ends an epoch; whether it is the best so far. */
  addEvaluation(loss: number, metrics: Headline): boolean {
    this.epochsDone++;
    const { problem_type: _type, ...values } = metrics;
    this.#log.push({
      epoch: this.epoch,
      step: this.step,
      ...mapKeys<number>({ loss, ...values }, (name) => EVALUATION_PREFIX + name),
    });
    const isBest = this.best === undefined || isBetter(metrics, this.best.metrics);
    if (isBest) this.best = { step: this.step, epoch: this.epochsDone, metrics };
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
      best_metric: best === undefined ? null : bestMetricOf(best.metrics),
      best_model_checkpoint: best === undefined ? null : checkpointOf(best.step),
      epoch: this.epoch,
      global_step: this.step,
      max_steps: this.#settings.maxSteps ?? -1,
      num_train_epochs: this.#settings.epochs,
      train_batch_size: this.#settings.batchSize,
      logging_steps: LOGGING_STEPS,
      log_history: this.#log,
    };
  }
}

/** The metrics of an entry that is an evaluation's. */
function headlineOf(entry: LogEntry, problemType: ProblemType): Headline | undefined {
  const metrics = METRICS[problemType].map((metric) => [metric, entry[EVALUATION_PREFIX + metric]]);
  if (metrics.some(([, value]) => value == null)) return undefined;
  return { problem_type: problemType, ...Object.fromEntries(metrics) };
}
