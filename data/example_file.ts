/**
 * Texts and labels in a file of their own. Memory holds a few bytes a row, so that a table of
 * millions of texts can be trained on.
 *
 * @module
 */
import { UserError } from "../lib/user_error.ts";
import type { Example } from "./examples.ts";

/** Rows of texts and labels, in memory or in a file: an array is one, {@link ExampleFile} another. */
export interface Examples extends Iterable<Example> {
  readonly length: number;
  at(index: number): Example | undefined;
}

/** The places of texts in a file. */
interface TextPlaces {
  file: string;
  /** The start of each text, in bytes, and the end of the last: `[texts + 1]`. */
  starts: Float64Array;
}

/** The number of bytes that are read or written at once. */
const BLOCK_BYTES = 2 ** 20;
/** The most bytes of UTF-8 that a character takes for each of its code units. */
const MOST_BYTES_PER_UNIT = 3;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Writes texts and labels into a file. */
export class ExampleFileWriter implements Disposable {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  #buffer = new Uint8Array(BLOCK_BYTES);
  #buffered = 0;
  #written = 0;
  #starts = new Float64Array(BLOCK_BYTES / 8);
  #rowLabels = new Uint32Array(BLOCK_BYTES / 8);
  #rows = 0;
  readonly #labels = new Map<string, number>();
  #isClosed = false;

  private constructor(path: string, file: Deno.FsFile) {
    this.#path = path;
    this.#file = file;
  }

  /** Starts a file, whose folder must be there. */
  static create(path: string): ExampleFileWriter {
    const options = { read: true, write: true, create: true, truncate: true };
    return new ExampleFileWriter(path, Deno.openSync(path, options));
  }

  /** Adds a row. */
  add({ text, label }: Example): void {
    const most = MOST_BYTES_PER_UNIT * text.length;
    if (this.#buffered + most > this.#buffer.length) {
      this.#flush();
      if (most > this.#buffer.length) this.#buffer = new Uint8Array(most);
    }
    if (this.#rows + 1 >= this.#starts.length) this.#grow();
    const { written } = encoder.encodeInto(text, this.#buffer.subarray(this.#buffered));
    this.#buffered += written;
    this.#rowLabels[this.#rows] = this.#labels.getOrInsertComputed(label, () => this.#labels.size);
    this.#starts[++this.#rows] = this.#written + this.#buffered;
  }

  /** Ends the writing; the rows can be read as long as the file stands. */
  finish(): ExampleFile {
    this.#flush();
    this.#file.close();
    this.#isClosed = true;
    const places = { file: this.#path, starts: this.#starts.slice(0, this.#rows + 1) };
    return ExampleFile.open(places, {
      labels: [...this.#labels.keys()],
      rowLabels: this.#rowLabels.slice(0, this.#rows),
    });
  }

  #flush(): void {
    const bytes = this.#buffer.subarray(0, this.#buffered);
    for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
    this.#written += this.#buffered;
    this.#buffered = 0;
  }

  #grow(): void {
    const starts = new Float64Array(2 * this.#starts.length);
    starts.set(this.#starts);
    this.#starts = starts;
    const rowLabels = new Uint32Array(2 * this.#rowLabels.length);
    rowLabels.set(this.#rowLabels);
    this.#rowLabels = rowLabels;
  }

  [Symbol.dispose](): void {
    if (!this.#isClosed) this.#file.close();
    this.#isClosed = true;
  }
}

/** The labels of rows by number. */
interface RowLabels {
  labels: readonly string[];
  /** The label of each text, by its place in `labels`. */
  rowLabels: Uint32Array;
}

/** Rows that an {@link ExampleFileWriter} has written, all or some of them. */
export class ExampleFile implements Examples {
  readonly #places: TextPlaces;
  readonly #labels: RowLabels;
  /** The indices of these rows among the file's texts; by default all of them. */
  readonly #texts: Uint32Array | undefined;

  private constructor(places: TextPlaces, labels: RowLabels, texts: Uint32Array | undefined) {
    this.#places = places;
    this.#labels = labels;
    this.#texts = texts;
  }

  /** Opens texts with their labels. */
  static open(places: TextPlaces, labels: RowLabels): ExampleFile {
    return new ExampleFile(places, labels, undefined);
  }

  get length(): number {
    return this.#texts?.length ?? this.#labels.rowLabels.length;
  }

  /** Selects some of the rows. @param indices Their places among these. */
  select(indices: Uint32Array): ExampleFile {
    const texts = indices.map((index) => this.#textOf(index));
    return new ExampleFile(this.#places, this.#labels, texts);
  }

  /** The same rows with other labels. @param labelOf Gives the new label for an old one. */
  withLabels(labelOf: (label: string) => string): ExampleFile {
    const { labels, rowLabels } = this.#labels;
    return new ExampleFile(
      this.#places,
      { labels: labels.map(labelOf), rowLabels },
      this.#texts,
    );
  }

  /** The row at a place, counted from the end where that is negative. */
  at(index: number): Example | undefined {
    const place = index < 0 ? this.length + index : index;
    if (!(place >= 0 && place < this.length)) return undefined;
    const { start, size } = this.range(place);
    const bytes = new Uint8Array(size);
    using file = Deno.openSync(this.path);
    readFully(file, this.path, bytes, start);
    return { text: decoder.decode(bytes), label: this.label(place) };
  }

  /** The label of a row. */
  label(index: number): string {
    return this.#labels.labels[this.#labels.rowLabels[this.#textOf(index)]!]!;
  }

  /** The place of a row's text in {@link path}, in bytes. */
  range(index: number): { start: number; size: number } {
    const text = this.#textOf(index);
    const { starts } = this.#places;
    const start = starts[text]!;
    return { start, size: starts[text + 1]! - start };
  }

  /** The file with the texts. */
  get path(): string {
    return this.#places.file;
  }

  /** The texts one after the other as UTF-8, each valid until the next is taken. */
  *utf8Texts(): Generator<Uint8Array> {
    let block = new Uint8Array(0);
    let blockStart = 0;
    let before = -Infinity;
    using file = Deno.openSync(this.path);
    const { starts } = this.#places;
    const total = starts.at(-1)!;
    for (let index = 0; index < this.length; index++) {
      const { start, size } = this.range(index);
      if (start < blockStart || start + size > blockStart + block.length) {
        // Bytes after a text are read with it only where texts are taken in order.
        const isInOrder = start >= before && start - before < BLOCK_BYTES / 4;
        const ahead = isInOrder ? Math.min(BLOCK_BYTES, total - start) : 0;
        block = new Uint8Array(Math.max(size, ahead));
        blockStart = start;
        readFully(file, this.path, block, start);
      }
      before = start + size;
      yield block.subarray(start - blockStart, start - blockStart + size);
    }
  }

  *[Symbol.iterator](): Generator<Example> {
    let index = 0;
    for (const bytes of this.utf8Texts()) {
      yield { text: decoder.decode(bytes), label: this.label(index++) };
    }
  }

  #textOf(index: number): number {
    return this.#texts === undefined ? index : this.#texts[index]!;
  }
}

/** The labels of rows, without reading their texts. */
export function* labelsOfRows(examples: Examples): Generator<string> {
  if (examples instanceof ExampleFile) {
    for (let index = 0; index < examples.length; index++) yield examples.label(index);
  } else {
    for (const { label } of examples) yield label;
  }
}

/** The same rows with other labels. @param labelOf Gives the new label for an old one. */
export function withLabels(examples: Examples, labelOf: (label: string) => string): Examples {
  return examples instanceof ExampleFile
    ? examples.withLabels(labelOf)
    : Array.from(examples, ({ text, label }) => ({ text, label: labelOf(label) }));
}

/** Selects some of the rows, in the order of their places. */
export function selectExamples(examples: Examples, indices: readonly number[]): Examples {
  return examples instanceof ExampleFile
    ? examples.select(Uint32Array.from(indices))
    : indices.map((index) => examples.at(index)!);
}

/** The texts of rows as UTF-8, each valid until the next is taken. */
export function* utf8Texts(examples: Examples): Generator<Uint8Array> {
  if (examples instanceof ExampleFile) yield* examples.utf8Texts();
  else for (const { text } of examples) yield encoder.encode(text);
}

/**
 * Reads bytes at some place of a file.
 *
 * @throws {UserError} If it has become shorter.
 */
export function readFully(
  file: Deno.FsFile,
  path: string,
  bytes: Uint8Array,
  start: number,
): void {
  file.seekSync(start, Deno.SeekMode.Start);
  for (let read = 0; read < bytes.length;) {
    const count = file.readSync(bytes.subarray(read));
    if (count === null) throw new UserError(`Cannot read '${path}': it has become shorter`);
    read += count;
  }
}
