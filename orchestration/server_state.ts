/**
 * The folder and the file in which a server keeps what it has, each of which has one owner.
 *
 * @module
 */
import { basename, dirname, join } from "node:path";
import { UserError } from "../lib/user_error.ts";

/** The state's name, in the folder of the runs. */
export const STATE_FILE = "state.kv";

/** What a server writes into its folder: where it can be reached. */
const ADDRESS_FILE = "address";

/** The folder of a server's runs, which no other may use. */
export class OwnedFolder implements Disposable {
  /** A file that can be read. */
  readonly addressFile: string;
  readonly #lock: Deno.FsFile;

  private constructor(dir: string, lock: Deno.FsFile) {
    this.addressFile = join(dir, ADDRESS_FILE);
    this.#lock = lock;
  }

  /**
   * Keeps other servers out of a folder, which is made if it is not there, until this is disposed of
   * or the process ends.
   *
   * @throws {UserError} If another server has it; the message says how to reach that.
   */
  static async take(dir: string): Promise<OwnedFolder> {
    await Deno.mkdir(dir, { recursive: true });
    const addressFile = join(dir, ADDRESS_FILE);
    // The folder itself is locked, by whatever name or link it goes; Windows locks files alone.
    const lock = Deno.build.os === "windows"
      ? await Deno.open(`${addressFile}.lock`, { write: true, create: true })
      : await Deno.open(dir);
    if (!await lock.tryLock(true)) {
      lock.close();
      const address = (await Deno.readTextFile(addressFile).catch(() => "")).trim();
      const other = address === "" ? "another server" : `the server at ${address}`;
      throw new UserError(
        `Cannot serve '${dir}': ${other} uses it; ask that one, or stop it, or use another --runs`,
      );
    }
    await Deno.writeTextFile(addressFile, "").catch(() => {});
    return new OwnedFolder(dir, lock);
  }

  /** Tells others where this server can be reached. */
  async tell(address: string): Promise<void> {
    // On a full disk they are told less.
    await Deno.writeTextFile(this.addressFile, `${address}\n`).catch(() => {});
  }

  [Symbol.dispose](): void {
    this.#lock.close();
  }
}

/**
 * Keeps other processes out of the state, until it is disposed of or the process ends.
 *
 * @param kv The file; what is elsewhere, by a URL, is not ours to lock.
 * @throws {UserError} If another process has it.
 */
export async function lockState(kv: string): Promise<Disposable> {
  if (/^https?:/.test(kv)) return { [Symbol.dispose]() {} };
  const file = await Deno.open(`${await realPath(kv)}.lock`, { write: true, create: true });
  if (await file.tryLock(true)) return file;
  file.close();
  throw new UserError(`Cannot keep state in '${kv}': another server uses it`);
}

/** The place of a file, by whatever link it goes, whether it is there or not. */
async function realPath(file: string): Promise<string> {
  try {
    return await Deno.realPath(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return join(await Deno.realPath(dirname(file)), basename(file));
  }
}
