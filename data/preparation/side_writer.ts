/**
 * The files of a data set, one for each side of the split.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { PartialFile } from "../../lib/files.ts";
import { CsvBlocks } from "../csv_file.ts";

/** One of the files written. */
export interface PreparedFile {
  file: string;
  rows: number;
  /** Rows by label. */
  classes: Record<string, number>;
  /** Missing where the files are for one run, which has a digest of its data. */
  sha256?: string;
}

/** Writes the rows of one side. */
export class SideWriter {
  readonly #name: string;
  readonly #file: PartialFile;
  readonly #digest = createHash("sha256");
  readonly #classes = new Map<string, number>();
  readonly #blocks = new CsvBlocks();

  /** @param name The file's name in the folder. */
  constructor(name: string, file: PartialFile) {
    this.#name = name;
    this.#file = file;
    this.#blocks.add(["text", "label"]);
  }

  /** Adds a row. */
  async add(text: string, label: string): Promise<void> {
    this.#classes.set(label, (this.#classes.get(label) ?? 0) + 1);
    const block = this.#blocks.add([text, label]);
    if (block !== undefined) await this.#write(block);
  }

  /** Writes the last rows, and describes the file. */
  async finish(): Promise<PreparedFile> {
    await this.#write(this.#blocks.rest());
    return { ...describeFile(this.#name, this.#classes), sha256: this.#digest.digest("hex") };
  }

  /** Gives the file its name. */
  async publish(): Promise<void> {
    await this.#file.publish();
  }

  async #write(block: string): Promise<void> {
    const bytes = new TextEncoder().encode(block);
    this.#digest.update(bytes);
    await this.#file.write(bytes);
  }
}

/**
 * Describes a file of rows.
 *
 * @param classes The number of rows of each label.
 */
export function describeFile(file: string, classes: ReadonlyMap<string, number>): PreparedFile {
  return {
    file,
    rows: classes.values().reduce((sum, rows) => sum + rows, 0),
    classes: Object.fromEntries([...classes].sort(([a], [b]) => a < b ? -1 : 1)),
  };
}
