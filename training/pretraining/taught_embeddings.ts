/**
 * Initial word embeddings from a teacher's embeddings of each word piece alone, as in Model2Vec
 * (Tulkens and van Dongen, 2024).
 *
 * @module
 */
import { EigenvalueDecomposition, Matrix } from "ml-matrix";
import type { SentenceEmbedder } from "../../models/inference/sentence_embedder.ts";
import { CONTINUATION_PREFIX, SPECIAL_TOKENS } from "../../models/formats/tokenizer_files.ts";
import { Random } from "../../lib/random.ts";

/** Word pieces that go through the teacher together. */
const BATCH_SIZE = 256;

/** Options of {@link taughtEmbeddings}. */
export interface TaughtEmbeddingOptions {
  /** The length of an embedding. */
  size: number;
  /** The standard deviation of all values together. */
  deviation: number;
  /** Determines the embeddings of special tokens, which mean nothing to a teacher. */
  seed: number;
}

/**
 * Takes the teacher's embedding of each word piece as a text of its own, reduced to its principal
 * components, or filled up with noise where the teacher has fewer.
 *
 * @param tokens The vocabulary in id order.
 * @returns `[tokens.length, size]`
 */
export async function taughtEmbeddings(
  teacher: Pick<SentenceEmbedder, "embed" | "tokenizer" | "size">,
  tokens: readonly string[],
  { size, deviation, seed }: TaughtEmbeddingOptions,
): Promise<Float32Array> {
  const ids = tokens.flatMap((token, id) => SPECIAL_TOKENS.includes(token) ? [] : id);
  const taught: number[][] = [];
  for (let start = 0; start < ids.length; start += BATCH_SIZE) {
    const texts = ids.slice(start, start + BATCH_SIZE)
      .map((id) => tokens[id]!.replace(CONTINUATION_PREFIX, ""));
    const embeddings = await teacher.embed(
      texts.map((text) => teacher.tokenizer.encode(text).ids),
    );
    for (const i of texts.keys()) {
      taught.push(Array.from(embeddings.subarray(i * teacher.size, (i + 1) * teacher.size)));
    }
  }
  const components = principalComponents(taught, size);

  const random = new Random(seed);
  const result = Float32Array.from(
    { length: tokens.length * size },
    () => random.normal() * deviation,
  );
  const scale = deviation / rootMeanSquare(components);
  for (const [i, id] of ids.entries()) {
    for (const [column, value] of components[i]!.entries()) {
      result[id * size + column] = value * scale;
    }
  }
  return result;
}

/** Centres and turns rows so that their first columns hold most of the variance; drops the rest. */
function principalComponents(rows: readonly (readonly number[])[], count: number): number[][] {
  const matrix = new Matrix(rows as number[][]);
  const centred = matrix.subRowVector(matrix.mean("column"));
  const covariance = centred.transpose().mmul(centred);
  const { eigenvectorMatrix } = new EigenvalueDecomposition(covariance, { assumeSymmetric: true });
  // Eigenvalues ascend.
  const kept = Math.min(count, rows[0]!.length);
  const axes = eigenvectorMatrix.subMatrixColumn(
    Array.from({ length: kept }, (_, i) => rows[0]!.length - 1 - i),
  );
  return centred.mmul(axes).to2DArray();
}

function rootMeanSquare(rows: readonly (readonly number[])[]): number {
  const sum = rows.reduce((sum, row) => row.reduce((sum, value) => sum + value ** 2, sum), 0);
  return Math.sqrt(sum / (rows.length * rows[0]!.length));
}
