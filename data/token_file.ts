/**
 * Encoded texts on disk, so that there may be more of them than memory holds: `NAME.ids` has the
 * token ids of all rows one after the other, `NAME.lengths` the number of ids of each row, both
 * as unsigned 32-bit integers.
 *
 * @module
 */
import { PartialFile } from "../lib/files.ts";
import { UserError } from "../lib/user_error.ts";

const BYTES = Uint32Array.BYTES_PER_ELEMENT;
/** The number of ids that are gathered before they are written. */
const BUFFERED_IDS = 2 ** 18;

/** Writes rows of token ids; the files take their names when {@link finish} is called. */
export class TokenFileWriter implements AsyncDisposable {
  readonly #path: string;
  readonly #file: PartialFile;
  readonly #buffer = new Uint32Array(BUFFERED_IDS);
  #buffered = 0;
  readonly #lengths: number[] = [];

  private constructor(path: string, file: PartialFile) {
    this.#path = path;
    this.#file = file;
  }

  /** Starts the files. @param path Their path without the endings. */
  static async create(path: string): Promise<TokenFileWriter> {
    return new TokenFileWriter(path, await PartialFile.create(`${path}.ids`));
  }

  /** The number of rows. */
  get rows(): number {
    return this.#lengths.length;
  }

  /** Adds a row. */
  async add(ids: readonly number[]): Promise<void> {
    this.#lengths.push(ids.length);
    for (const id of ids) {
      this.#buffer[this.#buffered++] = id;
      if (this.#buffered === BUFFERED_IDS) await this.#flush();
    }
  }

  /** Gives the files their names, that of the lengths last. */
  async finish(): Promise<void> {
    await this.#flush();
    await this.#file.publish();
    await using lengths = await PartialFile.create(`${this.#path}.lengths`);
    await lengths.write(new Uint8Array(Uint32Array.from(this.#lengths).buffer));
    await lengths.publish();
  }

  async #flush(): Promise<void> {
    await this.#file.write(new Uint8Array(this.#buffer.buffer, 0, this.#buffered * BYTES));
    this.#buffered = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }
}

/** Reads rows of token ids in any order. */
export class TokenFile implements Disposable {
  /** The number of tokens of each row. */
  readonly lengths: readonly number[];
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #starts: Float64Array;
  #isClosed = false;

  private constructor(path: string, file: Deno.FsFile, lengths: Uint32Array) {
    this.#path = path;
    this.#file = file;
    this.lengths = Array.from(lengths);
    this.#starts = new Float64Array(lengths.length);
    for (let row = 1; row < lengths.length; row++) {
      this.#starts[row] = this.#starts[row - 1]! + lengths[row - 1]!;
    }
  }

  /** Opens the files that a {@link TokenFileWriter} has finished. */
  static async open(path: string): Promise<TokenFile> {
    const lengths = new Uint32Array((await Deno.readFile(`${path}.lengths`)).buffer);
    return new TokenFile(path, await Deno.open(`${path}.ids`), lengths);
  }

  /** The token ids of a row. */
  row(index: number): number[] {
    const ids = new Uint32Array(this.lengths[index]!);
    this.#file.seekSync(this.#starts[index]! * BYTES, Deno.SeekMode.Start);
    const bytes = new Uint8Array(ids.buffer);
    for (let read = 0; read < bytes.length;) {
      const count = this.#file.readSync(bytes.subarray(read));
      if (count === null) {
        throw new UserError(`Cannot read '${this.#path}.ids': it has become shorter`);
      }
      read += count;
    }
    return Array.from(ids);
  }

  [Symbol.dispose](): void {
    if (!this.#isClosed) this.#file.close();
    this.#isClosed = true;
  }
}
