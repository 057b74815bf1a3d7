/**
 * The pace of a run.
 *
 * @module
 */
import type { StepEvent } from "./events.ts";

/** Measures how fast this process trains, evaluations included. */
export class Pace {
  readonly #started = performance.now();
  readonly #firstStep: number;
  readonly #totalSteps: number;
  #tokens = 0;
  tokensPerSecond = 0;

  /** @param stepsDone Steps that an earlier process has done. */
  constructor(stepsDone: number, totalSteps: number) {
    this.#firstStep = stepsDone;
    this.#totalSteps = totalSteps;
  }

  /**
   * Counts steps that have just ended.
   *
   * @param step The last of them.
   * @param tokens The tokens of all of them, without padding.
   */
  after(
    step: number,
    tokens: number,
  ): Pick<StepEvent, "tokens_per_second" | "seconds_left"> {
    this.#tokens += tokens;
    const seconds = (performance.now() - this.#started) / 1000;
    this.tokensPerSecond = this.#tokens / seconds;
    return {
      tokens_per_second: this.tokensPerSecond,
      seconds_left: (seconds / (step - this.#firstStep)) * (this.#totalSteps - step),
    };
  }
}
