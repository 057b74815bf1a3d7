/**
 * The texts of a pretraining run, encoded once into files of its folder: the training texts, the
 * held-out texts and, with a teacher, the training texts in the teacher's tokens.
 *
 * @module
 */
import { join } from "node:path";
import { exists, removeFolder } from "../../lib/files.ts";
import { isHeldOut, readLines } from "../../data/text_files.ts";
import { TokenFile, TokenFileWriter } from "../../data/token_file.ts";
import { UserError } from "../../lib/user_error.ts";
import type { Tokenizer } from "../../models/text/tokenizer.ts";

const TOKENS_DIR = "tokens";
const TRAIN_FILE = "train";
const HELD_OUT_FILE = "heldOut";
const TEACHER_FILE = "teacher";

/** Options of {@link pretrainingTexts}. */
export interface PretrainingTextsOptions {
  tokenizer: Tokenizer;
  /** The teacher's tokenizer; with one each text is a row of its own, otherwise rows are filled. */
  teacher?: Tokenizer | undefined;
  /** The share of the texts that is not trained on. */
  heldOut: number;
  /** Called now and then with the number of texts that have been read. */
  onProgress: (texts: number) => void;
  /** Stops the encoding. */
  signal?: AbortSignal | undefined;
}

/** Encoded texts. */
export interface PretrainingTexts extends Disposable {
  train: TokenFile;
  heldOut: TokenFile;
  /** The rows of `train` in the teacher's tokens. */
  teacher: TokenFile | undefined;
}

/** The number of texts that are read between two reports. */
const PROGRESS_TEXTS = 10_000;

/**
 * Encodes texts, or opens those that an earlier process has encoded in the same folder.
 *
 * @param dir The folder of the run.
 * @throws {UserError} If a file cannot be read, or nothing is left to train on.
 * @throws The signal's reason, if it aborts.
 */
export async function pretrainingTexts(
  dir: string,
  files: readonly string[],
  options: PretrainingTextsOptions,
): Promise<PretrainingTexts> {
  const tokensDir = join(dir, TOKENS_DIR);
  const complete = join(tokensDir, "complete");
  if (!await exists(complete)) {
    await Deno.mkdir(tokensDir, { recursive: true });
    await encode(tokensDir, files, options);
    await Deno.writeTextFile(complete, "");
  }
  using opened = new DisposableStack();
  const open = async (name: string) => opened.use(await TokenFile.open(join(tokensDir, name)));
  const train = await open(TRAIN_FILE);
  const heldOut = await open(HELD_OUT_FILE);
  const teacher = options.teacher && await open(TEACHER_FILE);
  const kept = opened.move();
  return { train, heldOut, teacher, [Symbol.dispose]: () => kept.dispose() };
}

/** Removes the files that {@link pretrainingTexts} has written, if there are any. */
export async function removePretrainingTexts(dir: string): Promise<void> {
  const tokensDir = join(dir, TOKENS_DIR);
  await removeFolder(tokensDir);
}

async function encode(
  dir: string,
  files: readonly string[],
  { tokenizer, teacher, heldOut: share, onProgress, signal }: PretrainingTextsOptions,
): Promise<void> {
  await using created = new AsyncDisposableStack();
  const create = async (name: string) => created.use(await TokenFileWriter.create(join(dir, name)));
  const train = await create(TRAIN_FILE);
  const heldOut = await create(HELD_OUT_FILE);
  const teacherRows = teacher && await create(TEACHER_FILE);
  const packers = new Map([train, heldOut].map((file) => [file, new RowPacker(tokenizer)]));
  let count = 0;
  for await (const text of readLines(files)) {
    signal?.throwIfAborted();
    const file = isHeldOut(text, share) ? heldOut : train;
    if (teacher === undefined) {
      for (const row of packers.get(file)!.add(text)) await file.add(row);
    } else {
      await file.add(tokenizer.encode(text).ids);
      if (file === train) await teacherRows?.add(teacher.encode(text).ids);
    }
    if (++count % PROGRESS_TEXTS === 0) onProgress(count);
  }
  for (const [file, packer] of packers) for (const row of packer.rest()) await file.add(row);
  if (train.rows === 0) {
    throw new UserError(`Cannot pretrain on ${files.join(", ")}: no text is left for training`);
  }
  await train.finish();
  await heldOut.finish();
  await teacherRows?.finish();
}

/** Fills rows with texts: `[CLS] one [SEP] another [SEP]`. Longer texts go over several rows. */
export class RowPacker {
  readonly #tokenizer: Tokenizer;
  #row: number[] = [];

  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  /** Adds a text and gives the rows that are full. */
  add(text: string): number[][] {
    const full: number[][] = [];
    const ids = this.#tokenizer.encodeWhole(text);
    const [start, end] = [ids[0]!, ids.at(-1)!];
    const pieceLength = this.#tokenizer.maxLength - 2;
    for (let from = 1; from < ids.length - 1; from += pieceLength) {
      const piece = ids.slice(from, Math.min(from + pieceLength, ids.length - 1));
      if (this.#row.length + piece.length + 1 > this.#tokenizer.maxLength) {
        full.push(...this.rest());
      }
      if (this.#row.length === 0) this.#row.push(start);
      this.#row.push(...piece, end);
    }
    return full;
  }

  /** Takes the row that is not full, if there is one. */
  rest(): number[][] {
    const row = this.#row;
    this.#row = [];
    return row.length === 0 ? [] : [row];
  }
}
