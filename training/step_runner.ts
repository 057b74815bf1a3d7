/**
 * Runs steps on a device, which may take the next one before it gives the result of the last.
 *
 * @module
 */
import { UserError } from "../lib/user_error.ts";
import type { RemoteTrainingSession, StepResult, Tensors } from "../onnx/runtime/executor.ts";
import type { StepEvent } from "./events.ts";
import { Pace } from "./pace.ts";
import { linearSchedule } from "./schedule.ts";
import type { StepPlan } from "./step_plan.ts";

/** Options of {@link StepRunner}. */
export interface StepRunnerOptions extends StepPlan {
  session: Pick<RemoteTrainingSession, "submit" | "results">;
  /** The state of the run; its step is the last whose result is known. */
  state: { readonly step: number; addStep(event: StepEvent): void };
  /** The highest learning rate of the schedule. */
  learningRate: number;
  /** Names the last checkpoint, if there is one, when the loss stops being a number. */
  lastCheckpoint: () => Promise<string | undefined>;
  onEvent: (event: StepEvent) => void;
}

/** A step as the device takes it. */
export interface PreparedStep {
  /** The feeds of its parts, whose losses and gradients add up. */
  parts: Tensors[];
  /** The number of its tokens, without padding. */
  tokens: number;
}

/** Options of {@link StepRunner.run}. */
export interface RunStepsOptions<Step> {
  prepare: (step: Step) => PreparedStep | Promise<PreparedStep>;
  /**
   * Called with the number of each step that the device was given. Its result, and those of a few
   * before, may not be known before {@link StepRunner.settle}.
   */
  after: (step: number) => Promise<void>;
  signal?: AbortSignal | undefined;
}

/** Runs steps, and records each as soon as its result is known. */
export class StepRunner {
  readonly #options: StepRunnerOptions;
  readonly #pace: Pace;
  /** Steps whose results are not known yet, in order. */
  readonly #running: { learningRate: number; tokens: number }[] = [];

  constructor(options: StepRunnerOptions) {
    this.#options = options;
    this.#pace = new Pace(options.state.step, options.totalSteps);
  }

  /** The tokens per second of this process, evaluations included; padding does not count. */
  get tokensPerSecond(): number {
    return this.#pace.tokensPerSecond;
  }

  /**
   * Runs steps one after the other, and prepares the next while the device works. When it returns all
   * results are known.
   *
   * @throws {UserError} If a loss is not a number.
   * @throws The signal's reason, if it aborts.
   */
  async run<Step>(
    steps: readonly Step[],
    { prepare, after, signal }: RunStepsOptions<Step>,
  ): Promise<void> {
    const prepared = async (i: number) => i < steps.length ? await prepare(steps[i]!) : undefined;
    let next = prepared(0);
    for (let i = 1; i <= steps.length; i++) {
      signal?.throwIfAborted();
      const submitting = this.#submit((await next)!);
      next = prepared(i);
      // If the run ends before this step is wanted, the run's own error is thrown.
      next.catch(() => {});
      await submitting;
      await after(this.#submitted);
    }
    await this.settle();
  }

  /**
   * Waits until all results are known, so that the state is that of the weights.
   *
   * @throws {UserError} If a loss is not a number.
   */
  async settle(): Promise<void> {
    await this.#takeNote(await this.#options.session.results());
  }

  /** The number of steps that the device has done or was given. */
  get #submitted(): number {
    return this.#options.state.step + this.#running.length;
  }

  async #submit({ parts, tokens }: PreparedStep): Promise<void> {
    const { session, warmupSteps, totalSteps } = this.#options;
    const stepsBefore = this.#submitted;
    const learningRate = this.#options.learningRate *
      linearSchedule(stepsBefore, warmupSteps, totalSteps);
    this.#running.push({ learningRate, tokens });
    await this.#takeNote(await session.submit(parts, stepsBefore + 1, learningRate));
  }

  async #takeNote(results: readonly StepResult[]): Promise<void> {
    if (results.length === 0) return;
    const { state, stepsPerEpoch, onEvent } = this.#options;
    const done = this.#running.splice(0, results.length);
    const pace = this.#pace.after(
      state.step + done.length,
      done.reduce((sum, { tokens }) => sum + tokens, 0),
    );
    for (const [i, { loss, gradientNorm }] of results.entries()) {
      const step = state.step + 1;
      if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
        throw await divergence(step, { loss, gradientNorm }, this.#options);
      }
      const event = {
        type: "step",
        step,
        epoch: step / stepsPerEpoch,
        loss,
        grad_norm: gradientNorm,
        learning_rate: done[i]!.learningRate,
        ...pace,
      } as const;
      state.addStep(event);
      onEvent(event);
    }
  }
}

async function divergence(
  step: number,
  { loss, gradientNorm }: StepResult,
  { learningRate, lastCheckpoint }: StepRunnerOptions,
): Promise<UserError> {
  const checkpoint = await lastCheckpoint();
  return new UserError(
    `Cannot go on after step ${step}: the loss is ${loss}, its gradient's norm ${gradientNorm}; ` +
      `try a lower learning rate than ${learningRate}` +
      (checkpoint === undefined ? "" : `. The last good weights are in '${checkpoint}'`),
  );
}
