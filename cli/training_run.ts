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
 * Shows the progress of a run. Ctrl-C ends it after the current step, and the process with the
 * command that resumes it.
 *
 * @param resume The command that resumes it.
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
