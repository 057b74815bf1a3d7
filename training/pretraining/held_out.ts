/**
 * Measures how well a model guesses words of texts that it is not trained on.
 *
 * @module
 */
import { evaluationBatches } from "../../data/batches.ts";
import type { TokenFile } from "../../data/token_file.ts";
import { BATCH_TOKENS } from "../../models/inference/inference.ts";
import type { InferenceSession } from "../../onnx/runtime/executor.ts";
import { Random } from "../../lib/random.ts";
import { maskedFeeds } from "./feeds.ts";
import type { TokenMasker } from "./masking.ts";

/** The most rows that are measured, taken evenly from those that are held out. */
export const MAX_ROWS = 2000;
const BATCH_SIZE = 32;
/** Stands for the epoch in the seed of the masks: rows are always masked in the same way. */
const MASKS = -1;

/** Options of {@link heldOutLoss}. */
export interface HeldOutOptions {
  rows: TokenFile;
  masker: TokenMasker;
  maskProbability: number;
  padId: number;
  seed: number;
  signal?: AbortSignal | undefined;
}

/**
 * Measures the mean cross-entropy of masked tokens, if there are any.
 *
 * @param session The session of the graph for evaluation in `graphs.ts`.
 * @throws The signal's reason, if it aborts.
 */
export async function heldOutLoss(
  session: Pick<InferenceSession, "run">,
  { rows, masker, maskProbability, padId, seed, signal }: HeldOutOptions,
): Promise<number | undefined> {
  const count = Math.min(rows.lengths.length, MAX_ROWS);
  const chosen = Array.from(
    { length: count },
    (_, i) => Math.floor(i * rows.lengths.length / count),
  );
  const lengths = chosen.map((row) => rows.lengths[row]!);
  let [sum, tokens] = [0, 0];
  for (const batch of evaluationBatches(lengths, BATCH_SIZE, BATCH_TOKENS)) {
    signal?.throwIfAborted();
    const masked = batch.map((place) => {
      const row = chosen[place]!;
      return masker.mask(rows.row(row), maskProbability, new Random(seed, MASKS, row));
    });
    const { losses } = await session.run(maskedFeeds(masked, padId));
    const values = losses!.data as Float32Array;
    sum = values.reduce((sum, loss) => sum + loss, sum);
    tokens += values.length;
  }
  return tokens === 0 ? undefined : sum / tokens;
}
