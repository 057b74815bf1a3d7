/**
 * The files of a data set, one for each side of the split.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { PartialFile } from "../../lib/files.ts";
import { CsvBlocks } from "../csv_file.ts";
import { classNames, type ProblemType } from "../labels.ts";

/** One of the files written. */
export interface PreparedFile {
  /** Its name in the folder. */
  file: string;
  /** The number of rows below the header. */
  rows: number;
  /** The rows of each class; none where labels are numbers. */
  classes: Record<string, number>;
  /** Missing where the files are for one run, which has a digest of its data. */
  sha256?: string;
}

/** Writes the rows of one side. */
export class SideWriter {
  readonly #name: string;
  readonly #file: PartialFile;
  readonly #problemType: ProblemType;
  readonly #digest = createHash("sha256");
  readonly #labels = new Map<string, number>();
  readonly #blocks = new CsvBlocks();

  /** @param name The file's name in the folder. */
  constructor(name: string, file: PartialFile, problemType: ProblemType) {
    this.#name = name;
    this.#file = file;
    this.#problemType = problemType;
    this.#blocks.add(["text", "label"]);
  }

  /** Adds a row. */
  async add(text: string, label: string): Promise<void> {
    this.#labels.set(label, (this.#labels.get(label) ?? 0) + 1);
    const block = this.#blocks.add([text, label]);
    if (block !== undefined) await this.#write(block);
  }

  /** Writes the last rows, and describes the file. */
  async finish(): Promise<PreparedFile> {
    await this.#write(this.#blocks.rest());
    const described = describeFile(this.#name, this.#labels, this.#problemType);
    return { ...described, sha256: this.#digest.digest("hex") };
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
 * @param labels The number of rows of each label.
 */
export function describeFile(
  file: string,
  labels: ReadonlyMap<string, number>,
  problemType: ProblemType,
): PreparedFile {
  const classes = new Map<string, number>();
  for (const [label, rows] of labels) {
    for (const name of classNames(label, problemType)) {
      classes.set(name, (classes.get(name) ?? 0) + rows);
    }
  }
  return {
    file,
    rows: labels.values().reduce((sum, rows) => sum + rows, 0),
    classes: Object.fromEntries([...classes].sort(([a], [b]) => a < b ? -1 : 1)),
  };
}
