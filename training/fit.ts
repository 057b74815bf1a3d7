/**
 * The training loop: steps, epoch by epoch, on a device. It knows no disk; the caller measures,
 * saves and reports.
 *
 * @module
 */
import { TrainingInterrupted } from "./interrupted.ts";
import type { PlannedBatch } from "../data/batches.ts";
import { type EpochSettings, partsOf, type StepPlan, stepsLeft } from "./step_plan.ts";
import type { PreparedStep, StepRunner } from "./step_runner.ts";

/** Options of {@link fit}. */
export interface FitOptions {
  runner: Pick<StepRunner, "run">;
  /** The state of the run. */
  state: { readonly step: number };
  plan: StepPlan;
  settings: EpochSettings;
  /** The number of tokens of each example, as far as it is known. */
  lengths: ArrayLike<number>;
  /** Waits until the lengths and tokens of examples are known. */
  ready?(examples: readonly number[]): Promise<void>;
  /** Called before the first step of an epoch, with the steps of the epoch. */
  beforeEpoch?(steps: readonly (readonly PlannedBatch[])[]): void;
  /** The epoch to begin with, counted from 0; its steps may be done. */
  firstEpoch: number;
  /** Makes the feeds of a step from the examples of its parts. */
  prepare(parts: number[][], epoch: number): PreparedStep | Promise<PreparedStep>;
  /** Called after each step that the device was given. */
  afterStep(step: number): Promise<void>;
  /** Called when all results of an epoch are known; returns whether another epoch may follow. */
  afterEpoch?(): Promise<boolean>;
  signal?: AbortSignal | undefined;
}

/**
 * Runs the remaining steps of a run.
 *
 * @throws {UserError} If a loss is not a number.
 * @throws The signal's reason, if it aborts.
 */
export async function fit(options: FitOptions): Promise<void> {
  const { runner, state, plan, settings, lengths, firstEpoch, signal } = options;
  const epochs = Math.ceil(plan.totalSteps / plan.stepsPerEpoch);
  for (let epoch = firstEpoch; epoch < epochs; epoch++) {
    // A run that was stopped in an evaluation may have no step left.
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

/** The parts of a run that {@link interruptible} needs. */
export interface InterruptibleRun {
  outDir: string;
  state: { readonly step: number };
  /** Saves the work since the last checkpoint. */
  save?(): Promise<void>;
  signal?: AbortSignal | undefined;
}

/**
 * Does a part of a run that the run's signal may stop.
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
