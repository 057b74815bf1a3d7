/**
 * Rows of tokens on their way into a model that is pretrained.
 *
 * @module
 */
import { collate } from "../../data/batches.ts";
import type { TensorData } from "../../onnx/graph.ts";
import type { Tensors } from "../../onnx/executor.ts";
import type { MaskedText } from "./masking.ts";

/**
 * What the graphs of `graphs.ts` take, but for what the teacher gives.
 *
 * @param maskedCount By which the losses of masked tokens are divided: those of a whole step.
 * @param textCount The same for the distances of texts.
 */
export function maskedFeeds(
  texts: readonly MaskedText[],
  padId: number,
  maskedCount: number = countMasked(texts),
  textCount: number = texts.length,
): Tensors {
  const batch = collate(texts.map(({ ids }) => ids), padId);
  const [, length] = batch.input_ids.shape;
  const positions = texts.flatMap(({ positions }, row) =>
    positions.map((position) => row * length! + position)
  );
  return {
    ...batch,
    masked_positions: integers(positions),
    masked_labels: integers(texts.flatMap(({ labels }) => labels)),
    masked_weights: constants(positions.length, 1 / maskedCount),
    text_weights: constants(texts.length, 1 / textCount),
  };
}

/** How many tokens have to be guessed. */
export function countMasked(texts: readonly MaskedText[]): number {
  return texts.reduce((sum, { positions }) => sum + positions.length, 0);
}

function integers(values: readonly number[]): TensorData {
  return { type: "int64", shape: [values.length], data: BigInt64Array.from(values, BigInt) };
}

function constants(count: number, value: number): TensorData {
  return { type: "float32", shape: [count], data: new Float32Array(count).fill(value) };
}
