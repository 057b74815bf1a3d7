/**
 * A run of training on the command line.
 *
 * @module
 */
import type { Command } from "commander";
import { TrainingInterrupted } from "../training/interrupted.ts";
import { Interruption } from "./interruption.ts";
import { TrainProgress } from "./progress.ts";

/**
 * Shows how a run goes on. Ctrl-C ends it after the present step, and the process with a word on how
 * to go on.
 *
 * @param resume The command that goes on with it.
 */
export async function showTraining<Result>(
  command: Command,
  resume: string,
  run: (options: { onEvent: TrainProgress["show"]; signal: AbortSignal }) => Promise<Result>,
): Promise<Result> {
  const progress = new TrainProgress();
  using interruption = new Interruption("Stopping; press again to stop at once");
  const { signal } = interruption;
  try {
    return await run({ onEvent: (event) => progress.show(event), signal });
  } catch (error) {
    progress.stop();
    const { exitCode } = interruption;
    if (error === signal.reason) command.error("Stopped before the first step", { exitCode });
    if (!(error instanceof TrainingInterrupted)) throw error;
    return command.error(`${error.message}:\n  ${resume}`, { exitCode });
  } finally {
    progress.stop();
  }
}
