/**
 * The log of a run's steps: the `log_history` of `trainer_state.json`.
 *
 * @module
 */
import type { StepEvent } from "../events.ts";

/** The number of steps between two entries. */
const LOGGING_STEPS = 50;

/** An entry of the log, under transformers' keys. */
export type LogEntry = Record<string, number | null>;

/** The state of a run, and its course so far. */
export class RunLog {
  /** The number of optimizer steps that are done. */
  step: number;
  readonly #entries: LogEntry[];
  readonly #stepsPerEpoch: number;
  /** The losses since the last entry. */
  #losses: number[] = [];

  /** @param stored The state in which an earlier process has left the run. */
  constructor(
    stepsPerEpoch: number,
    stored: { global_step: number; log_history: readonly LogEntry[] } = {
      global_step: 0,
      log_history: [],
    },
  ) {
    this.#stepsPerEpoch = stepsPerEpoch;
    this.step = stored.global_step;
    this.#entries = [...stored.log_history];
  }

  /** The passes over the texts so far, such as 1.5. */
  get epoch(): number {
    return this.step / this.#stepsPerEpoch;
  }

  /** Adds a step. */
  addStep({ step, epoch, loss, grad_norm, learning_rate, tokens_per_second }: StepEvent): void {
    this.step = step;
    this.#losses.push(loss);
    if (step % LOGGING_STEPS !== 0) return;
    const mean = this.#losses.reduce((sum, loss) => sum + loss, 0) / this.#losses.length;
    this.#entries.push({ epoch, step, loss: mean, grad_norm, learning_rate, tokens_per_second });
    this.#losses = [];
  }

  /** Adds an entry of measurements after the present step. */
  protected addEntry(values: LogEntry): void {
    this.#entries.push({ epoch: this.epoch, step: this.step, ...values });
  }

  /** The part of `trainer_state.json` that all runs have. */
  protected get course(): Record<string, unknown> {
    return {
      epoch: this.epoch,
      global_step: this.step,
      logging_steps: LOGGING_STEPS,
      log_history: this.#entries,
    };
  }
}
