/**
 * The course of pretraining: `trainer_state.json`, with transformers' keys.
 *
 * @module
 */
import { RunLog } from "../folder/run_log.ts";

/** The state of a pretraining run. */
export class PretrainingState extends RunLog {
  /** Adds an entry with the loss on the held-out texts. */
  addEvaluation(loss: number): void {
    this.addEntry({ eval_loss: loss });
  }

  /** The content of `trainer_state.json`. */
  toJSON(): Record<string, unknown> {
    return {
      best_global_step: null,
      best_metric: null,
      best_model_checkpoint: null,
      ...this.course,
    };
  }
}
