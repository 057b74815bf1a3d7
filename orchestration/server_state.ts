/**
 * The folder and the file of a server's state, each of which has one owner.
 *
 * @module
 */
import { basename, dirname, join } from "node:path";
import { realPath } from "../lib/files.ts";
import { UserError } from "../lib/user_error.ts";

/** The name of the state's file, in the folder of the runs. */
export const STATE_FILE = "state.kv";

/** The file in the folder that holds the server's address. */
const ADDRESS_FILE = "address";

/** The folder of a server's runs, which no other server may use. */
export class OwnedFolder implements Disposable {
  /** Its path, behind all links: permissions are asked for by that one. */
  readonly dir: string;
  /** The file with the server's address, which others can read. */
  readonly addressFile: string;
  readonly #lock: Deno.FsFile;

  private constructor(dir: string, lock: Deno.FsFile) {
    this.dir = dir;
    this.addressFile = join(dir, ADDRESS_FILE);
    this.#lock = lock;
  }

  /**
   * Locks a folder against other servers, until the result is disposed of or the process ends. The
   * folder is made if it does not exist.
   *
   * @throws {UserError} If another server has it; the message gives that server's address.
   */
  static async take(dir: string): Promise<OwnedFolder> {
    await Deno.mkdir(dir, { recursive: true });
    const addressFile = join(dir, ADDRESS_FILE);
    // The folder itself is locked, under any name or link; Windows can lock only files.
    const lock = Deno.build.os === "windows"
      ? await Deno.open(`${addressFile}.lock`, { write: true, create: true })
      : await Deno.open(dir);
    if (!await lock.tryLock(true)) {
      lock.close();
      const address = await serverAddress(dir);
      const other = address === undefined ? "another server" : `the server at ${address}`;
      throw new UserError(
        `Cannot serve '${dir}': ${other} uses it; ask that one, or stop it, or use another --runs`,
      );
    }
    await Deno.writeTextFile(addressFile, "").catch(() => {});
    return new OwnedFolder(await Deno.realPath(dir), lock);
  }

  /** Writes down the address of this server for others. */
  async tell(address: string): Promise<void> {
    // On a full disk it is left out.
    await Deno.writeTextFile(this.addressFile, `${address}\n`).catch(() => {});
  }

  [Symbol.dispose](): void {
    this.#lock.close();
  }
}

/** The address that the last server of a folder wrote down, if it did; it may have ended since. */
export async function serverAddress(dir: string): Promise<string | undefined> {
  return (await Deno.readTextFile(join(dir, ADDRESS_FILE)).catch(() => "")).trim() || undefined;
}

/**
 * Locks the state against other processes, until the result is disposed of or the process ends.
 *
 * @param kv The file; a state elsewhere, given by a URL, is not ours to lock.
 * @throws {UserError} If another process has it.
 */
export async function lockState(kv: string): Promise<Disposable> {
  if (/^https?:/.test(kv)) return { [Symbol.dispose]() {} };
  // Behind all links, whether the file exists or not.
  const path = await realPath(kv) ?? join(await Deno.realPath(dirname(kv)), basename(kv));
  const file = await Deno.open(`${path}.lock`, { write: true, create: true });
  if (await file.tryLock(true)) return file;
  file.close();
  throw new UserError(`Cannot keep state in '${kv}': another server uses it`);
}
