/**
 * Examples on their way into a model: encoded, in batches, and predicted.
 *
 * @module
 */
import { collate, type TokenIds } from "../data/batches.ts";
import type { Examples } from "../data/example_file.ts";
import { classNames, type Problem } from "../data/labels.ts";
import { stratifiedSample } from "../data/stratified_sample.ts";
import { type ModelConfig, problemOf } from "../models/formats/config.ts";
import {
  batchLogits,
  byText,
  inBatches,
  joinLogits,
  scoresOf,
} from "../models/inference/inference.ts";
import type { ChunkJoin } from "../models/text/long_texts.ts";
import { type TextLoss, type Tokenizer, unknownShare } from "../models/text/tokenizer.ts";
import type { InferenceSession, Tensors } from "../onnx/runtime/executor.ts";
import { encodeText } from "./encoded_batch.ts";
import type { Prediction } from "./evaluation.ts";
import { lossOf } from "./loss.ts";
import type { TrainSettings } from "./settings.ts";

/** A text that is ready for the model. */
export interface EncodedExample {
  text: string;
  ids: TokenIds;
  /** The chunks of a long text that come after {@link ids}, if there are any. */
  more?: TokenIds[];
  /** The places of its classes among the labels, or its number. */
  target: readonly number[];
  /** The probabilities of the labels that it is trained on in place of its target. */
  softTarget?: readonly number[] | undefined;
}

/** The part of an example that a step needs. */
export type TrainedExample = Pick<EncodedExample, "ids" | "target" | "softTarget">;

/** The rows of the training file that a run is trained on. */
export function trainingRows(
  rows: Examples,
  { maxTrainSamples, seed, problemType }: TrainSettings,
): Examples {
  return stratifiedSample(rows, { count: maxTrainSamples, seed, problemType });
}

/** Texts that are ready for the model, with their loss of tokens on the way. */
export interface EncodedExamples {
  examples: EncodedExample[];
  /** The loss of tokens on the way into the model. */
  loss: TextLoss;
  /** The share of the tokens, without those around a text, that the vocabulary does not have. */
  unknownShare: number;
}

/** A function that gives the {@link EncodedExample.target} of a label. */
export function targets({ problemType, labels }: Problem): (label: string) => number[] {
  const places = new Map(labels.map((name, place) => [name, place]));
  return (label) =>
    problemType === "regression"
      ? [Number(label)]
      : classNames(label, problemType).flatMap((name) => places.get(name) ?? []);
}

/** Encodes texts and their labels. */
export function encodeExamples(
  rows: Examples,
  tokenizer: Tokenizer,
  problem: Problem,
): EncodedExamples {
  const targetOf = targets(problem);
  const loss: TextLoss = { texts: 0, long: 0, tokens: 0, lost: 0 };
  const examples = Array.from(rows, ({ text, label }): EncodedExample => {
    return encodedExample(text, encodeText(tokenizer, text, loss), targetOf(label));
  });
  return { examples, loss, unknownShare: unknownShare(tokenizer.countAll(inChunks(examples))) };
}

/** A text with its rows of tokens. */
export function encodedExample(
  text: string,
  rows: readonly TokenIds[],
  target: readonly number[],
): EncodedExample {
  const [ids, ...more] = rows as [TokenIds, ...TokenIds[]];
  return { text, ids, ...more.length > 0 && { more }, target };
}

/** Examples as they are trained on: each chunk of a long text is one, with the label of its text. */
export function inChunks(examples: readonly EncodedExample[]): EncodedExample[] {
  return examples.flatMap(({ more = [], ...example }) => [
    example,
    ...more.map((ids) => ({ ...example, ids })),
  ]);
}

/** A target as the loss takes it, `[labels]`: 1 for each of its classes and 0 for the others, or its number. */
function targetRow(target: readonly number[], { problemType, labels }: Problem): number[] {
  if (problemType === "regression") return [...target];
  const row = new Array<number>(labels.length).fill(0);
  for (const place of target) row[place] = 1;
  return row;
}

/**
 * Makes the feeds of a step, one for each part of its batch.
 *
 * @param classWeights The weight of each class's examples, `[labels]`; by default all the same.
 */
export function stepFeeds(
  parts: readonly (readonly TrainedExample[])[],
  config: ModelConfig,
  classWeights?: readonly number[],
): Tensors[] {
  const exampleCount = parts.reduce((sum, part) => sum + part.length, 0);
  const weightOf = ({ target: [place] }: TrainedExample) => classWeights?.[place!] ?? 1;
  return parts.map((part) =>
    trainingFeeds(part, config, part.map((example) => weightOf(example) / exampleCount))
  );
}

/**
 * Makes the feeds of a part of a step.
 *
 * @param weights The weight of each example in the loss.
 */
function trainingFeeds(
  examples: readonly TrainedExample[],
  config: ModelConfig,
  weights: readonly number[],
): Tensors {
  const problem = problemOf(config);
  return {
    ...collate(examples.map(({ ids }) => ids), config.pad_token_id),
    labels: {
      type: "float32",
      shape: [examples.length, problem.labels.length],
      data: Float32Array.from(
        examples.flatMap(({ target, softTarget }) => softTarget ?? targetRow(target, problem)),
      ),
    },
    example_weights: {
      type: "float32",
      shape: [examples.length],
      data: Float32Array.from(weights),
    },
  };
}

/**
 * Predicts examples with a session's present weights, and gives their mean loss.
 *
 * @param options.chunkJoin The way in which the logits of a long text's chunks are joined.
 * @returns The predictions, the mean loss, and the logits, `[examples][labels]`.
 * @throws The signal's reason, if it aborts.
 */
export async function predictExamples(
  session: Pick<InferenceSession, "run">,
  examples: readonly EncodedExample[],
  config: ModelConfig,
  { signal, chunkJoin = "mean" }: { signal?: AbortSignal | undefined; chunkJoin?: ChunkJoin } = {},
): Promise<{ predictions: Prediction[]; loss: number; logits: Float32Array[] }> {
  const problem = problemOf(config);
  const run = (batch: EncodedExample[]) => batchLogits(session, batch, config);
  const chunks = examples.map((example) => inChunks([example]));
  const logits = byText(chunks, await inBatches(chunks.flat(), run, { signal }))
    .map((rows) => joinLogits(rows, chunkJoin));
  const predictions = predictionsOf(examples, logits, problem);
  const losses = predictions.map(({ labels }, i) =>
    lossOf(logits[i]!, labels, problem.problemType)
  );
  return {
    predictions,
    loss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length,
    logits,
  };
}

/** Makes the predictions for examples from their logits, `[examples][labels]`. */
export function predictionsOf(
  examples: readonly EncodedExample[],
  logits: readonly ArrayLike<number>[],
  problem: Problem,
): Prediction[] {
  return examples.map(({ text, target }, i) => ({
    text,
    labels: targetRow(target, problem),
    scores: scoresOf(logits[i]!, problem.problemType),
  }));
}
