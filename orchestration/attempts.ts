/**
 * The folders of a run's attempts. Each attempt works in one of its own, so that an earlier one
 * which wakes up late can harm nothing; the folder of the one that succeeds becomes the run's.
 *
 * @module
 */
import { join } from "node:path";
import { exists, removeFolder } from "../lib/files.ts";
import { copyCheckpoints } from "../training/folder/checkpoints.ts";
import { METRICS_FILE } from "../training/folder/run_folder.ts";
import { TRAINING_ARGS_FILE } from "../training/folder/training_args.ts";

/** The folders of one run. */
export class Attempts {
  /** The folder of the finished model. */
  readonly modelDir: string;
  readonly #dir: string;

  /** @param runsDir The folder of all runs. */
  constructor(runsDir: string, id: string) {
    this.modelDir = join(runsDir, id);
    this.#dir = join(runsDir, `${id}.attempts`);
  }

  /** The folder of an attempt. */
  dirOf(attempt: number): string {
    return join(this.#dir, `attempt-${attempt}`);
  }

  /**
   * Makes the folder of the next attempt, with the checkpoints of the one before.
   *
   * @param attempt Counted from 1.
   * @returns Whether there is a checkpoint to resume from.
   */
  async prepare(attempt: number): Promise<boolean> {
    const dir = this.dirOf(attempt);
    // A server that was killed may have begun it.
    await removeFolder(dir);
    await removeFolder(this.dirOf(attempt - 2));
    await Deno.mkdir(dir, { recursive: true });
    const before = this.dirOf(attempt - 1);
    if (!await exists(join(before, TRAINING_ARGS_FILE))) return false;
    await copyCheckpoints(before, dir);
    await Deno.copyFile(join(before, TRAINING_ARGS_FILE), join(dir, TRAINING_ARGS_FILE));
    return true;
  }

  /** Turns the folder of an attempt that has succeeded into the run's, and removes the others. */
  async publish(attempt: number): Promise<void> {
    await Deno.rename(this.dirOf(attempt), this.modelDir);
    await Deno.remove(this.#dir, { recursive: true });
  }

  /** Whether the finished model is there. */
  isPublished(): Promise<boolean> {
    return exists(join(this.modelDir, METRICS_FILE));
  }

  /** Removes all files of the run. */
  async remove(): Promise<void> {
    await removeFolder(this.modelDir);
    await this.removeAttempts();
  }

  /** Removes the folders of all attempts, but not the model. */
  async removeAttempts(): Promise<void> {
    await removeFolder(this.#dir);
  }

  /** The size of the run's files in bytes; files that two attempts share count twice. */
  async bytes(): Promise<number> {
    return await folderBytes(this.modelDir) + await folderBytes(this.#dir);
  }
}

/** The size of a folder's files in bytes. */
export async function folderBytes(dir: string): Promise<number> {
  if (!await exists(dir)) return 0;
  let bytes = 0;
  for await (const { name, isDirectory } of Deno.readDir(dir)) {
    const path = join(dir, name);
    if (isDirectory) bytes += await folderBytes(path);
    // A file may be removed while others are counted.
    else bytes += (await Deno.stat(path).catch(() => ({ size: 0 }))).size;
  }
  return bytes;
}
