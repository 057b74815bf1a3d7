/**
 * The course of pretraining: `trainer_state.json`, with transformers' keys.
 *
 * @module
 */
import type { StepEvent } from "../events.ts";
import { LOGGING_STEPS, type StoredTrainerState } from "../trainer_state.ts";

/** Where a run stands. */
export class PretrainingState {
  /** Optimizer steps that are done. */
  step = 0;
  readonly #stepsPerEpoch: number;
  readonly #log: Record<string, number | null>[] = [];
  /** The losses since the last entry of the log. */
  #losses: number[] = [];

  /** @param stored Where an earlier process has left the run. */
  constructor(stepsPerEpoch: number, stored?: StoredTrainerState) {
    this.#stepsPerEpoch = stepsPerEpoch;
    this.step = stored?.global_step ?? 0;
    this.#log = stored?.log_history ?? [];
  }

  /** How often the texts have been seen, such as 1.5. */
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

  /** Takes note of the loss on the texts that are held out. */
  addEvaluation(loss: number): void {
    this.#log.push({ epoch: this.epoch, step: this.step, eval_loss: loss });
  }

  /** The content of `trainer_state.json`. */
  toJSON(): Record<string, unknown> {
    return {
      best_global_step: null,
      best_metric: null,
      best_model_checkpoint: null,
      epoch: this.epoch,
      global_step: this.step,
      logging_steps: LOGGING_STEPS,
      log_history: this.#log,
    };
  }
}
