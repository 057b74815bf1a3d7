/**
 * Turns rows of tokens into feeds for a model in pretraining.
 *
 * @module
 */
import { collate, type TokenIds } from "../../data/batches.ts";
import type { TokenFile } from "../../data/token_file.ts";
import type { SentenceEmbedder } from "../../models/inference/sentence_embedder.ts";
import type { Tensors } from "../../onnx/runtime/executor.ts";
import type { TensorData } from "../../onnx/graph/graph.ts";
import { Random } from "../../lib/random.ts";
import type { PreparedStep } from "../step_runner.ts";
import type { MaskedText, TokenMasker } from "./masking.ts";

/** The data and settings from which {@link pretrainingStep} makes steps. */
export interface StepSource {
  /** The texts. */
  rows: Pick<TokenFile, "row">;
  masker: TokenMasker;
  maskProbability: number;
  padId: number;
  seed: number;
  /** The teacher, with the same texts in its own tokens. */
  teacher?:
    | { embedder: Pick<SentenceEmbedder, "embed" | "size">; rows: Pick<TokenFile, "row"> }
    | undefined;
}

/**
 * Prepares one step of pretraining. The masks are a function of seed, epoch and rows.
 *
 * With a teacher, every second text of a batch is left whole, as the teacher sees it and as the
 * model will be used.
 *
 * @param parts The rows of each part.
 * @param epoch Counted from 0.
 */
export async function pretrainingStep(
  parts: readonly (readonly number[])[],
  epoch: number,
  { rows, masker, maskProbability, padId, seed, teacher }: StepSource,
): Promise<PreparedStep> {
  const texts = parts.map((part) =>
    part.map((row, place) =>
      teacher !== undefined && place % 2 === 1
        ? whole(rows.row(row))
        : masker.mask(rows.row(row), maskProbability, new Random(seed, epoch, row))
    )
  );
  const all = texts.flat();
  const feeds = texts.map(async (part, i) => ({
    ...maskedFeeds(part, padId, countMasked(all), all.length),
    ...(teacher && {
      teacher_embeddings: {
        type: "float32" as const,
        shape: [part.length, teacher.embedder.size],
        data: await teacher.embedder.embed(parts[i]!.map((row) => teacher.rows.row(row))),
      },
    }),
  }));
  return {
    parts: await Promise.all(feeds),
    tokens: all.reduce((sum, { ids }) => sum + ids.length, 0),
  };
}

function whole(ids: TokenIds): MaskedText {
  return { ids: [...ids], positions: [], labels: [] };
}

/**
 * Makes the feeds of the graphs of `graphs.ts`, except for the teacher's embeddings.
 *
 * @param maskedCount The masked tokens of a whole step, by whose number their losses are divided.
 * @param textCount The texts of a whole step, by whose number their distances are divided.
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

/** The number of tokens to be guessed. */
function countMasked(texts: readonly MaskedText[]): number {
  return texts.reduce((sum, { positions }) => sum + positions.length, 0);
}

function integers(values: readonly number[]): TensorData {
  return { type: "int64", shape: [values.length], data: BigInt64Array.from(values, BigInt) };
}

function constants(count: number, value: number): TensorData {
  return { type: "float32", shape: [count], data: new Float32Array(count).fill(value) };
}
