/**
 * From texts to logits to scores.
 *
 * @module
 */
import { collate, evaluationBatches, type TokenIds } from "../data/batches.ts";
import type { InferenceSession } from "../onnx/executor.ts";

/** Texts that go through a model together when nobody waits for one of them. */
const BATCH_SIZE = 64;

/**
 * The logits of each text, in the order of the texts.
 *
 * @param session A graph that takes {@link collate}'s tensors and gives `logits`.
 */
export async function logitsOf(
  session: Pick<InferenceSession, "run">,
  texts: readonly TokenIds[],
  padId: number,
): Promise<Float32Array[]> {
  const results = new Array<Float32Array>(texts.length);
  for (const batch of evaluationBatches(texts.map((ids) => ids.length), BATCH_SIZE)) {
    const { logits } = await session.run(collate(batch.map((index) => texts[index]!), padId));
    const data = logits!.data as Float32Array;
    const labelCount = data.length / batch.length;
    for (const [row, index] of batch.entries()) {
      results[index] = data.slice(row * labelCount, (row + 1) * labelCount);
    }
  }
  return results;
}

/** The probabilities of the classes. */
export function softmax(logits: ArrayLike<number>): number[] {
  const values = Array.from(logits);
  const largest = Math.max(...values);
  const exponentials = values.map((value) => Math.exp(value - largest));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((value) => value / sum);
}

/** The index of the largest value; of equal ones the first. */
export function argMax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
