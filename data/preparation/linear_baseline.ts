/**
 * What a neural model has to beat: a linear support vector machine on TF-IDF of words and pairs of
 * words, with the settings of scikit-learn's `TfidfVectorizer(ngram_range=(1, 2))` and `LinearSVC`.
 *
 * @module
 */
import { Random } from "../../lib/random.ts";
import { wordsOf } from "./normalise.ts";

/** Weight of the training error against that of the squared norm; scikit-learn's `C`. */
const ERROR_WEIGHT = 1;
const MAX_PASSES = 300;
/** The optimum is found when gradients differ by less. */
const TOLERANCE = 1e-2;
const SEED = 1;

/** A text as the terms it has, by number, and their weights; of norm 1. */
interface SparseVector {
  terms: Int32Array;
  weights: Float64Array;
}

/** A classifier of texts that is trained in seconds. */
export class LinearBaseline {
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #idf: Float64Array;
  /** One hyperplane a class, over the terms and a constant. */
  readonly #hyperplanes: readonly Float64Array[];

  private constructor(
    numbers: ReadonlyMap<string, number>,
    idf: Float64Array,
    hyperplanes: readonly Float64Array[],
  ) {
    this.#numbers = numbers;
    this.#idf = idf;
    this.#hyperplanes = hyperplanes;
  }

  /**
   * Trains on texts.
   *
   * @param labels The class of each text, counted from 0.
   */
  static fit(
    texts: readonly string[],
    labels: readonly number[],
    classCount: number,
  ): LinearBaseline {
    const { numbers, idf } = inverseDocumentFrequencies(texts);
    const vectors = texts.map((text) => vectorOf(text, numbers, idf));
    const hyperplanes = Array.from(
      { length: classCount },
      (_, index) =>
        fitHyperplane(vectors, labels.map((label) => label === index ? 1 : -1), idf.length),
    );
    return new LinearBaseline(numbers, idf, hyperplanes);
  }

  /** The class of a text. */
  predict(text: string): number {
    const vector = vectorOf(text, this.#numbers, this.#idf);
    const scores = this.#hyperplanes.map((hyperplane) => product(hyperplane, vector));
    return scores.indexOf(Math.max(...scores));
  }
}

/** Words, and pairs of neighbouring words. */
function termsOf(text: string): string[] {
  const words = wordsOf(text);
  return [...words, ...words.slice(1).map((word, i) => `${words[i]} ${word}`)];
}

/** Numbers the terms, and weighs each by ln((1 + texts) / (1 + texts with it)) + 1. */
function inverseDocumentFrequencies(
  texts: readonly string[],
): { numbers: Map<string, number>; idf: Float64Array } {
  const numbers = new Map<string, number>();
  const counts: number[] = [];
  for (const text of texts) {
    for (const term of new Set(termsOf(text))) {
      const number = numbers.get(term) ?? numbers.size;
      if (number === numbers.size) {
        numbers.set(term, number);
        counts.push(0);
      }
      counts[number]!++;
    }
  }
  const idf = Float64Array.from(counts, (count) => Math.log((1 + texts.length) / (1 + count)) + 1);
  return { numbers, idf };
}

function vectorOf(
  text: string,
  numbers: ReadonlyMap<string, number>,
  idf: Float64Array,
): SparseVector {
  const counts = new Map<number, number>();
  for (const term of termsOf(text)) {
    const number = numbers.get(term);
    if (number !== undefined) counts.set(number, (counts.get(number) ?? 0) + 1);
  }
  const weights = Float64Array.from(counts, ([number, count]) => count * idf[number]!);
  const norm = Math.sqrt(weights.reduce((sum, weight) => sum + weight * weight, 0)) || 1;
  return { terms: Int32Array.from(counts.keys()), weights: weights.map((weight) => weight / norm) };
}

/** The last weight of a hyperplane belongs to a constant of 1 in every vector. */
function product(hyperplane: Float64Array, { terms, weights }: SparseVector): number {
  let sum = hyperplane[hyperplane.length - 1]!;
  for (let i = 0; i < terms.length; i++) sum += hyperplane[terms[i]!]! * weights[i]!;
  return sum;
}

/**
 * Minimises |w|² / 2 + C Σ max(0, 1 - y w·x)² by dual coordinate descent (Hsieh et al., 2008,
 * "A dual coordinate descent method for large-scale linear SVM"), as liblinear does.
 *
 * @param signs 1 for the vectors of the class, -1 for the others.
 */
function fitHyperplane(
  vectors: readonly SparseVector[],
  signs: readonly number[],
  termCount: number,
): Float64Array {
  const hyperplane = new Float64Array(termCount + 1);
  const alphas = new Float64Array(vectors.length);
  const diagonal = 1 / (2 * ERROR_WEIGHT);
  const squaredNorms = vectors.map(({ weights }) =>
    weights.reduce((sum, weight) => sum + weight * weight, 1)
  );
  const random = new Random(SEED);
  const order = [...vectors.keys()];
  for (let pass = 0; pass < MAX_PASSES; pass++) {
    let [lowest, highest] = [Infinity, -Infinity];
    for (const i of random.shuffle(order)) {
      const vector = vectors[i]!;
      const sign = signs[i]!;
      const alpha = alphas[i]!;
      const gradient = sign * product(hyperplane, vector) - 1 + diagonal * alpha;
      const projected = alpha === 0 ? Math.min(gradient, 0) : gradient;
      lowest = Math.min(lowest, projected);
      highest = Math.max(highest, projected);
      if (projected === 0) continue;
      alphas[i] = Math.max(alpha - gradient / (squaredNorms[i]! + diagonal), 0);
      const change = sign * (alphas[i]! - alpha);
      hyperplane[termCount]! += change;
      const { terms, weights } = vector;
      for (let j = 0; j < terms.length; j++) hyperplane[terms[j]!]! += change * weights[j]!;
    }
    if (highest - lowest < TOLERANCE) break;
  }
  return hyperplane;
}
