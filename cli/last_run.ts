/**
 * The default run of a command.
 *
 * @module
 */
import { lastFinishedRun } from "../training/folder/run_list.ts";

/**
 * The folder of the run that finished last; its name goes to standard error.
 *
 * @throws {UserError} If there is none.
 */
export async function lastRun(): Promise<string> {
  const dir = await lastFinishedRun();
  console.error(`Using ${dir}, the run that finished last`);
  return dir;
}
