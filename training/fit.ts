/**
 * The loop of training: steps, epoch by epoch, on a device. It knows no disk; what is measured, saved
 * and told is its caller's.
 *
 * @module
 */
import { TrainingInterrupted } from "./interrupted.ts";
import type { PlannedBatch } from "../data/batches.ts";
import { type EpochSettings, partsOf, type StepPlan, stepsLeft } from "./step_plan.ts";
import type { PreparedStep, StepRunner } from "./step_runner.ts";

/** What {@link fit} needs. */
export interface FitOptions {
  runner: Pick<StepRunner, "run">;
  /** Where the run stands. */
  state: { readonly step: number };
  plan: StepPlan;
  settings: EpochSettings;
  /** The tokens of each example, as far as they are known. */
  lengths: ArrayLike<number>;
  /** Waits until the lengths and tokens of examples are known. */
  ready?(examples: readonly number[]): Promise<void>;
  /** Called with the steps of an epoch before the first. */
  beforeEpoch?(steps: readonly (readonly PlannedBatch[])[]): void;
  /** Counted from 0; its steps may be done. */
  firstEpoch: number;
  /** Makes the feeds of a step from the examples of its parts. */
  prepare(parts: number[][], epoch: number): PreparedStep | Promise<PreparedStep>;
  /** Called after each step that the device was given. */
  afterStep(step: number): Promise<void>;
  /** Called when all results of an epoch are known; whether another may follow. */
  afterEpoch?(): Promise<boolean>;
  signal?: AbortSignal | undefined;
}

/**
 * Runs the steps of a run that are left.
 *
 * @throws {UserError} If a loss is no number.
 * @throws What the signal says, if it aborts.
 */
export async function fit(options: FitOptions): Promise<void> {
  const { runner, state, plan, settings, lengths, firstEpoch, signal } = options;
  const epochs = Math.ceil(plan.totalSteps / plan.stepsPerEpoch);
  for (let epoch = firstEpoch; epoch < epochs; epoch++) {
    // A run that was stopped while it was measured may have no step left.
    const steps = stepsLeft(lengths.length, settings, plan, epoch, state.step);
    options.beforeEpoch?.(steps);
    await runner.run(steps, {
      prepare: async (step) => {
        await options.ready?.(step.flatMap(({ chunk }) => chunk));
        return await options.prepare(partsOf(step, lengths, settings), epoch);
      },
      after: (step) => options.afterStep(step),
      signal,
    });
    if (await options.afterEpoch?.() === false) return;
  }
}

/** What {@link interruptible} needs to know of a run. */
export interface InterruptibleRun {
  outDir: string;
  state: { readonly step: number };
  /** Keeps what was done since the last checkpoint. */
  save?(): Promise<void>;
  signal?: AbortSignal | undefined;
}

/**
 * Does a part of a run, which its signal may stop.
 *
 * @throws {TrainingInterrupted} If the signal aborts.
 */
export async function interruptible<Result>(
  work: () => Promise<Result>,
  { outDir, state, save, signal }: InterruptibleRun,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error !== signal?.reason) throw error;
    await save?.();
    throw new TrainingInterrupted(state.step, outDir);
  }
}
