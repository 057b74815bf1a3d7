/**
 * The texts of a run on their way into its steps.
 *
 * @module
 */
import { dirname, join } from "node:path";
import type { PlannedBatch } from "../data/batches.ts";
import { ExampleFile, type Examples } from "../data/example_file.ts";
import { TokenFile, TokenFileWriter } from "../data/token_file.ts";
import type { Example } from "../data/examples.ts";
import type { Problem } from "../data/labels.ts";
import { count } from "../lib/format.ts";
import {
  addLoss,
  type TextLoss,
  type TokenCounts,
  type Tokenizer,
  unknownShare,
} from "../models/text/tokenizer.ts";
import type { EncodedBatch } from "./encoded_batch.ts";
import {
  CALL_TEXTS,
  type EncodedTexts,
  encodedTexts,
  GrowingTexts,
  MOST_AT_ONCE,
} from "./encoded_texts.ts";
import { EncodingWorkers } from "./encoding_workers.ts";
import {
  type EncodedExample,
  encodedExample,
  encodeExamples,
  inChunks,
  targets,
} from "./encoded_examples.ts";

/** The number of texts in the sample that describes a large data set. */
const SAMPLE = 1000;
/** The texts that a run is trained on. */
export interface TrainingTexts extends EncodedTexts, AsyncDisposable {
  /** The places of a text's classes among the labels, or its number. */
  target(row: number): readonly number[];
  /** The probabilities that a text is trained on in place of its classes, if there are any. */
  softTarget(row: number): readonly number[] | undefined;
  /** The numbers of tokens that texts may have: all that occur, or all that are possible. */
  possibleLengths: readonly number[];
  /** The loss of tokens on the way into the model, in all texts or in a sample. */
  loss: TextLoss;
  /** The share of the tokens that the vocabulary does not have. */
  unknownShare: number;
  /** A note for the user on how they are encoded; `undefined` if all were encoded at once. */
  note: string | undefined;
  /** Encodes texts in the order in which steps want them, while other work goes on. */
  encodeAhead(steps: readonly (readonly PlannedBatch[])[]): void;
  /** Encodes texts that are not trained on. */
  encode(rows: readonly Example[]): Promise<EncodedExample[]>;
}

/** Options of {@link trainingTexts}. */
export interface TrainingTextsOptions {
  tokenizer: Tokenizer;
  problem: Problem;
  /** What the texts of a small data set are trained on in place of their labels, `[texts][labels]`. */
  softTargets?: readonly (readonly number[])[] | undefined;
  /** Called with the number of texts encoded so far, where encoding takes long. */
  onProgress?: (texts: number) => void;
  /** The most texts that are encoded before the run begins. */
  mostAtOnce?: number;
}

/**
 * Prepares the texts of a run. Those of a small data set are all encoded when it returns, and those
 * in chunks, as steps are planned by the number of chunks. Others of a large one are encoded in
 * Workers while the run goes on; the run does the same either way.
 */
export async function trainingTexts(
  rows: Examples,
  options: TrainingTextsOptions,
): Promise<TrainingTexts> {
  const { tokenizer, problem, mostAtOnce = MOST_AT_ONCE } = options;
  const isLarge = rows.length > mostAtOnce;
  const isInChunks = tokenizer.longTexts.strategy === "chunk";
  if (isLarge && isInChunks && rows instanceof ExampleFile) {
    return await chunkedTexts(rows, options);
  }
  // A run on a large data set does the same whether its texts are in memory or not.
  const possibleLengths = isLarge && !isInChunks
    ? Array.from({ length: tokenizer.maxLength }, (_, i) => i + 1)
    : undefined;
  if (possibleLengths !== undefined && rows instanceof ExampleFile) {
    return { ...await growingTexts(rows, options), possibleLengths };
  }
  const { examples, loss, unknownShare } = encodeExamples(rows, tokenizer, problem);
  const { softTargets } = options;
  const trained = inChunks(
    examples.map((example, i) => ({ ...example, softTarget: softTargets?.[i] })),
  );
  const encoded = encodedTexts(trained);
  return {
    ...encoded,
    possibleLengths: possibleLengths ?? [...new Set(Array.from(encoded.lengths))],
    target: (row) => trained[row]!.target,
    softTarget: (row) => trained[row]!.softTarget,
    loss,
    unknownShare,
    note: undefined,
    encodeAhead: () => {},
    encode: (rows) => Promise.resolve(encodeExamples(rows, tokenizer, problem).examples),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function growingTexts(
  rows: ExampleFile,
  { tokenizer, problem, onProgress = () => {} }: TrainingTextsOptions,
): Promise<Omit<TrainingTexts, "possibleLengths">> {
  using resources = new DisposableStack();
  const dir = dirname(rows.path);
  const workers = resources.use(await EncodingWorkers.start(tokenizer, join(dir, "tokenizer")));
  const texts = resources.use(
    new GrowingTexts(rows, {
      file: join(dir, "tokens"),
      encode: (texts) => workers.encode(texts),
      parallel: workers.count,
      onProgress,
    }),
  );
  const sample = Array.from({ length: SAMPLE }, (_, i) => Math.floor(i * rows.length / SAMPLE));
  await texts.ready(sample);
  const loss = { ...texts.loss };
  const targetOf = targets(problem);
  const used = resources.move();
  return {
    lengths: texts.lengths,
    ready: (rows) => texts.ready(rows),
    ids: (row) => texts.ids(row),
    target: (row) => targetOf(rows.label(row)),
    softTarget: () => undefined,
    loss,
    unknownShare: unknownShare(texts.counts),
    note: `Texts are encoded during training; the shares of long texts and unknown tokens are ` +
      `estimated from ${count(SAMPLE)} of them`,
    encodeAhead: (steps) => {
      texts.encodeAhead(chunksOf(steps));
    },
    encode: (heldOut) => encodeHeldOut(heldOut, workers, targetOf),
    [Symbol.asyncDispose]: () => Promise.resolve(used.dispose()),
  };
}

/** Encodes all texts in Workers, into a file. Memory holds a few numbers for each chunk. */
async function chunkedTexts(
  rows: ExampleFile,
  { tokenizer, problem, onProgress = () => {} }: TrainingTextsOptions,
): Promise<TrainingTexts> {
  using resources = new DisposableStack();
  const dir = dirname(rows.path);
  const workers = resources.use(await EncodingWorkers.start(tokenizer, join(dir, "tokenizer")));
  const path = join(dir, "tokens");
  await using writer = await TokenFileWriter.create(path);
  const loss: TextLoss = { texts: 0, long: 0, tokens: 0, lost: 0 };
  const counts: TokenCounts = { tokens: 0, unknown: 0 };
  /** The text of each chunk. */
  const textOf: number[] = [];
  const write = async (batch: EncodedBatch) => {
    for (const [i, ids] of textRows(batch).entries()) {
      for (const chunk of ids) {
        await writer.add(chunk);
        textOf.push(loss.texts + i);
      }
    }
    addLoss(loss, batch.loss);
    counts.tokens += batch.counts.tokens;
    counts.unknown += batch.counts.unknown;
    onProgress(loss.texts);
  };
  const going: Promise<EncodedBatch>[] = [];
  for (const texts of textsOfCalls(rows)) {
    const call = workers.encode(texts);
    // An error is thrown where it is awaited.
    call.catch(() => {});
    going.push(call);
    if (going.length > 2 * workers.count) await write(await going.shift()!);
  }
  for (const call of going) await write(await call);
  await writer.finish();
  const tokens = resources.use(await TokenFile.open(path));
  const targetOf = targets(problem);
  const used = resources.move();
  return {
    lengths: tokens.lengths,
    ready: () => Promise.resolve(),
    ids: (row) => tokens.row(row),
    target: (row) => targetOf(rows.label(textOf[row]!)),
    softTarget: () => undefined,
    possibleLengths: [...new Set(tokens.lengths)],
    loss,
    unknownShare: unknownShare(counts),
    note: undefined,
    encodeAhead: () => {},
    encode: (heldOut) => encodeHeldOut(heldOut, workers, targetOf),
    [Symbol.asyncDispose]: () => Promise.resolve(used.dispose()),
  };
}

/** Encodes texts that are not trained on in Workers. */
async function encodeHeldOut(
  heldOut: readonly Example[],
  workers: EncodingWorkers,
  targetOf: (label: string) => number[],
): Promise<EncodedExample[]> {
  const calls = Array.from(textsOfCalls(heldOut), (texts) => workers.encode(texts));
  const rows = (await Promise.all(calls)).flatMap(textRows);
  return heldOut.map(({ text, label }, i) => encodedExample(text, rows[i]!, targetOf(label)));
}

/** Texts, as many at a time as a Worker encodes in one call. */
function* textsOfCalls(rows: Iterable<Example>): Generator<string[]> {
  let texts: string[] = [];
  for (const { text } of rows) {
    texts.push(text);
    if (texts.length < CALL_TEXTS) continue;
    yield texts;
    texts = [];
  }
  if (texts.length > 0) yield texts;
}

/** The texts of steps, in the order in which the steps want them. */
function* chunksOf(steps: readonly (readonly PlannedBatch[])[]): Generator<readonly number[]> {
  for (const step of steps) for (const { chunk } of step) yield chunk;
}

/** The rows of tokens of each text. */
function textRows({ ids, lengths, rows }: EncodedBatch): number[][][] {
  let [end, row] = [0, 0];
  return Array.from(rows, (count) =>
    Array.from(
      lengths.subarray(row, row += count),
      (length) => Array.from(ids.subarray(end, end += length)),
    ));
}
