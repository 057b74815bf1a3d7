/**
 * The baseline for a neural model: a linear support vector machine on TF-IDF of words and pairs of
 * words, with the settings of scikit-learn's `TfidfVectorizer(ngram_range=(1, 2))` and `LinearSVC`.
 *
 * @module
 */
import { Random } from "../../lib/random.ts";
import { wordsOf } from "./normalise.ts";

/** Weight of the training error against that of the squared norm; scikit-learn's `C`. */
const ERROR_WEIGHT = 1;
const MAX_PASSES = 300;
/** The rows that may be visited in all passes, and the passes that there are in any case. */
const MAX_VISITS = 1_000_000;
const MIN_PASSES = 10;
/** The difference of gradients below which the optimum is found. */
const TOLERANCE = 1e-2;
const SEED = 1;

/** The most weights of hyperplanes that are fitted at once: 128 MiB. */
const FITTED_WEIGHTS = 2 ** 25;

/** Texts as the numbers and weights of their terms; each text has norm 1. */
interface SparseVectors {
  /** The terms of all texts in sequence. */
  terms: Int32Array;
  weights: Float64Array;
  /** The start of each text's terms, and the end of the last text's. */
  starts: Uint32Array;
}

/** Hyperplanes of some classes. */
interface Hyperplanes {
  classCount: number;
  /** Weights of the terms that several texts have, and of a constant: `[terms + 1, classes]`. */
  planes: Float32Array;
  /** The coefficient of each training text in each hyperplane: `[texts, classes]`. */
  duals: Float32Array;
}

/** The terms of the training texts. */
interface Vocabulary {
  terms: Terms;
  /** The inverse document frequency of each term, by number. */
  idf: Float64Array;
  /**
   * The row of each term in {@link Hyperplanes.planes}, by number. A term that one text has, like
   * most pairs of words, has -1 minus the text: its weight follows from the text's coefficient,
   * without a row.
   */
  places: Int32Array;
  /** The weight of each term in the only text that has it, by number. */
  ownWeights: Float64Array;
}

/** A classifier of texts that is trained in seconds. */
export class LinearBaseline {
  readonly #vocabulary: Vocabulary;
  readonly #hyperplanes: readonly Hyperplanes[];

  private constructor(vocabulary: Vocabulary, hyperplanes: readonly Hyperplanes[]) {
    this.#vocabulary = vocabulary;
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
    const terms = new Terms();
    const vectors = termCounts(texts, (text) => terms.learn(text));
    const idf = inverseDocumentFrequencies(vectors, terms.count);
    weighTerms(vectors, idf);
    const { shared, ownSquares, sharedCount, ...places } = splitTerms(vectors, terms.count);
    const rowCount = sharedCount + 1;
    const atOnce = Math.max(1, Math.floor(FITTED_WEIGHTS / rowCount));
    const hyperplanes: Hyperplanes[] = [];
    for (let first = 0; first < classCount; first += atOnce) {
      const count = Math.min(atOnce, classCount - first);
      hyperplanes.push(
        fitHyperplanes(shared, ownSquares, labels, rowCount, { first, count }),
      );
    }
    return new LinearBaseline({ terms, idf, ...places }, hyperplanes);
  }

  /** The class of a text. */
  predict(text: string): number {
    const { terms, idf, places, ownWeights } = this.#vocabulary;
    const vector = termCounts([text], (text) => terms.numbersOf(text));
    weighTerms(vector, idf);
    let [best, bestScore, first] = [0, -Infinity, 0];
    for (const { classCount, planes, duals } of this.#hyperplanes) {
      const scores = Float64Array.from(planes.subarray(planes.length - classCount));
      for (let i = 0; i < vector.terms.length; i++) {
        const term = vector.terms[i]!;
        const place = places[term]!;
        const values = place >= 0 ? planes : duals;
        const weight = vector.weights[i]! * (place >= 0 ? 1 : ownWeights[term]!);
        const row = (place >= 0 ? place : -1 - place) * classCount;
        for (let c = 0; c < classCount; c++) scores[c]! += values[row + c]! * weight;
      }
      for (let c = 0; c < classCount; c++) {
        if (scores[c]! <= bestScore) continue;
        best = first + c;
        bestScore = scores[c]!;
      }
      first += classCount;
    }
    return best;
  }
}

/** More than there are terms; the square of it is exact. */
const MOST_TERMS = 2 ** 26;

/** Words, and pairs of neighbouring words, each with a number. */
class Terms {
  count = 0;
  readonly #words = new Map<string, number>();
  /** The numbers of pairs by those of their words: pairs as strings would take four times as much. */
  readonly #pairs = new Map<number, number>();

  /** The numbers of a text's terms; new ones get the next. */
  learn(text: string): number[] {
    const words = wordsOf(text).map((word) => this.#words.getOrInsertComputed(word, this.#next));
    const pairs = pairsOf(words).map((pair) => this.#pairs.getOrInsertComputed(pair, this.#next));
    return [...words, ...pairs];
  }

  /** The numbers of a text's terms, but for unknown ones. */
  numbersOf(text: string): number[] {
    const words = wordsOf(text).map((word) => this.#words.get(word) ?? NaN);
    const pairs = pairsOf(words).map((pair) => this.#pairs.get(pair) ?? NaN);
    return [...words, ...pairs].filter((number) => !Number.isNaN(number));
  }

  readonly #next = () => this.count++;
}

/** A number for each pair of neighbours; NaN where a word has no number. */
function pairsOf(words: readonly number[]): number[] {
  return words.slice(1).map((second, index) => words[index]! * MOST_TERMS + second);
}

/** Counts the numbered terms of each text. */
function termCounts(
  texts: readonly string[],
  numbersOf: (text: string) => readonly number[],
): SparseVectors {
  const terms: number[] = [];
  const counts: number[] = [];
  const starts = new Uint32Array(texts.length + 1);
  const places = new Map<number, number>();
  for (const [i, text] of texts.entries()) {
    places.clear();
    for (const number of numbersOf(text)) {
      const place = places.get(number) ?? terms.length;
      places.set(number, place);
      terms[place] = number;
      counts[place] = (counts[place] ?? 0) + 1;
    }
    starts[i + 1] = terms.length;
  }
  return { terms: Int32Array.from(terms), weights: Float64Array.from(counts), starts };
}

/** The weight of each term: ln((1 + texts) / (1 + texts with it)) + 1. */
function inverseDocumentFrequencies(
  { terms, starts }: SparseVectors,
  termCount: number,
): Float64Array {
  const counts = new Float64Array(termCount);
  for (const term of terms) counts[term]!++;
  return counts.map((count) => Math.log(starts.length / (1 + count)) + 1);
}

/** Turns counts into weights, so that each text has norm 1. */
function weighTerms({ terms, weights, starts }: SparseVectors, idf: Float64Array): void {
  for (let text = 0; text + 1 < starts.length; text++) {
    let squares = 0;
    for (let i = starts[text]!; i < starts[text + 1]!; i++) {
      weights[i]! *= idf[terms[i]!]!;
      squares += weights[i]! ** 2;
    }
    const norm = Math.sqrt(squares) || 1;
    for (let i = starts[text]!; i < starts[text + 1]!; i++) weights[i]! /= norm;
  }
}

/** Separates the terms that one text has from those that several have. */
function splitTerms(
  { terms, weights, starts }: SparseVectors,
  termCount: number,
): Pick<Vocabulary, "places" | "ownWeights"> & {
  /** The terms that several texts have, by their places. */
  shared: SparseVectors;
  sharedCount: number;
  /** The sum of the squared weights of each text's other terms. */
  ownSquares: Float64Array;
} {
  const counts = new Uint32Array(termCount);
  for (const term of terms) counts[term]!++;
  let sharedCount = 0;
  const places = Int32Array.from(counts, (count) => count > 1 ? sharedCount++ : 0);
  const ownWeights = new Float64Array(termCount);
  const ownSquares = new Float64Array(starts.length - 1);
  const shared: SparseVectors = {
    terms: new Int32Array(terms.length),
    weights: new Float64Array(terms.length),
    starts: new Uint32Array(starts.length),
  };
  let end = 0;
  for (let text = 0; text + 1 < starts.length; text++) {
    for (let i = starts[text]!; i < starts[text + 1]!; i++) {
      const term = terms[i]!;
      if (counts[term]! > 1) {
        shared.terms[end] = places[term]!;
        shared.weights[end++] = weights[i]!;
      } else {
        places[term] = -1 - text;
        ownWeights[term] = weights[i]!;
        ownSquares[text]! += weights[i]! ** 2;
      }
    }
    shared.starts[text + 1] = end;
  }
  return { places, ownWeights, ownSquares, shared, sharedCount };
}

/**
 * Minimises |w|² / 2 + C Σ max(0, 1 - y w·x)² for each class against the others by dual coordinate
 * descent (Hsieh et al., 2008, "A dual coordinate descent method for large-scale linear SVM"), as
 * in liblinear. All classes are fitted at once: the terms of a text lie far apart in memory, but
 * the weights of a term in all classes lie together.
 *
 * @param ownSquares The squared norm of the terms that each text has alone.
 * @param rowCount The number of shared terms, and one for the constant.
 * @param classes The classes to fit.
 */
function fitHyperplanes(
  { terms, weights, starts }: SparseVectors,
  ownSquares: Float64Array,
  labels: readonly number[],
  rowCount: number,
  { first, count: classCount }: { first: number; count: number },
): Hyperplanes {
  const planes = new Float32Array(rowCount * classCount);
  const constant = (rowCount - 1) * classCount;
  const duals = new Float32Array(labels.length * classCount);
  const diagonal = 1 / (2 * ERROR_WEIGHT);
  const random = new Random(SEED);
  const order = [...labels.keys()];
  const products = new Float32Array(classCount);
  const changes = new Float32Array(classCount);
  const changed = new Uint32Array(classCount);
  const passes = Math.max(MIN_PASSES, Math.min(MAX_PASSES, MAX_VISITS / labels.length));
  let active = Array.from({ length: classCount }, (_, c) => c);
  for (let pass = 0; pass < passes && active.length > 0; pass++) {
    const lowest = new Float64Array(classCount).fill(Infinity);
    const highest = new Float64Array(classCount).fill(-Infinity);
    for (const text of random.shuffle(order)) {
      const [start, end] = [starts[text]!, starts[text + 1]!];
      for (let c = 0; c < classCount; c++) products[c] = planes[constant + c]!;
      for (let i = start; i < end; i++) {
        const row = terms[i]! * classCount;
        const weight = weights[i]!;
        for (let c = 0; c < classCount; c++) products[c]! += planes[row + c]! * weight;
      }
      const own = ownSquares[text]!;
      // The terms of a text have norm 1, and so has the constant.
      const curvature = (own === 0 && start === end ? 1 : 2) + diagonal;
      let changedCount = 0;
      for (const c of active) {
        const sign = labels[text] === first + c ? 1 : -1;
        const dual = duals[text * classCount + c]!;
        const alpha = sign * dual;
        const gradient = sign * (products[c]! + own * dual) - 1 + diagonal * alpha;
        const projected = alpha === 0 ? Math.min(gradient, 0) : gradient;
        if (projected < lowest[c]!) lowest[c] = projected;
        if (projected > highest[c]!) highest[c] = projected;
        if (projected === 0) continue;
        const updated = sign * Math.max(alpha - gradient / curvature, 0);
        duals[text * classCount + c] = updated;
        changes[c] = updated - dual;
        changed[changedCount++] = c;
      }
      for (let k = 0; k < changedCount; k++) {
        planes[constant + changed[k]!]! += changes[changed[k]!]!;
      }
      for (let i = start; i < end; i++) {
        const row = terms[i]! * classCount;
        const weight = weights[i]!;
        for (let k = 0; k < changedCount; k++) {
          const c = changed[k]!;
          planes[row + c]! += changes[c]! * weight;
        }
      }
    }
    active = active.filter((c) => highest[c]! - lowest[c]! >= TOLERANCE);
  }
  return { classCount, planes, duals };
}
