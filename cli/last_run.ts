/**
 * The run that a command takes when none is named.
 *
 * @module
 */
import { lastFinishedRun } from "../training/folder/run_folder.ts";

/**
 * The folder of the run that finished last; standard error says which it is.
 *
 * @throws {UserError} If there is none.
 */
export async function lastRun(): Promise<string> {
  const dir = await lastFinishedRun();
  console.error(`Using ${dir}, the run that finished last`);
  return dir;
}
