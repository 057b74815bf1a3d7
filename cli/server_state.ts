/**
 * The file in which a server keeps its state, which has one owner.
 *
 * @module
 */
import { UserError } from "../lib/user_error.ts";

/** Its name, in the folder of the runs. */
export const STATE_FILE = "state.kv";

/**
 * Keeps other processes out of the state, until it is disposed of or the process ends.
 *
 * @param kv The file; what is elsewhere, by a URL, is not ours to lock.
 * @throws {UserError} If another process has it.
 */
export async function lockState(kv: string): Promise<Disposable> {
  if (/^https?:/.test(kv)) return { [Symbol.dispose]() {} };
  const file = await Deno.open(`${kv}.lock`, { write: true, create: true });
  if (await file.tryLock(true)) return file;
  file.close();
  throw new UserError(`Cannot keep state in '${kv}': another server uses it`);
}
