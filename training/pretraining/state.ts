/**
 * The course of pretraining: `trainer_state.json`, with transformers' keys.
 *
 * @module
 */
import { RunLog } from "../folder/run_log.ts";

/** Where a run stands. */
export class PretrainingState extends RunLog {
  /** Takes note of the loss on the texts that are held out. */
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
