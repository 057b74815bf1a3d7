/**
 * A partner of a network: a linear model on n-grams of words and characters, trained in seconds,
 * whose logits are added to the network's. On few texts the two err in different places.
 *
 * @module
 */
import { labelRow, type Problem, type ProblemType } from "../../data/labels.ts";
import { Random } from "../../lib/random.ts";
import { fitHyperplane, type SparseRows } from "./linear_model.ts";
import { type Ngrams, ngramsOf } from "./ngrams.ts";

/** A text with its label as in the data. */
export interface LabelledText {
  text: string;
  label: string;
}

/** The partners that a network can get. */
export const PARTNERS = ["ngrams", "none"] as const;

/** One of {@link PARTNERS}. */
export type PartnerKind = typeof PARTNERS[number];

/** Labelled texts by index: an array, or texts that are read from a file on demand. */
export interface LabelledTexts {
  readonly length: number;
  at(index: number): LabelledText | undefined;
}

/** The numbers of a {@link Partner}, as in its file. */
export interface PartnerState {
  problemType: ProblemType;
  /** The number of logits. */
  labelCount: number;
  /** Whether n-grams of characters count beside those of words. */
  characters: boolean;
  /** The hashes of the n-grams that count, ascending: `[features]`. */
  hashes: Uint32Array;
  /** ln((1 + texts) / (1 + texts with the n-gram)) + 1 for each: `[features]`. */
  idf: Float32Array;
  /** `[features, labels]` */
  weights: Float32Array;
  /** `[labels]` */
  bias: Float32Array;
}

/**
 * The weight of the training error against the squared norm, scikit-learn's `C`: with n-grams of
 * characters a text has many more features that say the same.
 */
const ERROR_WEIGHT = { characters: 0.3, words: 1 };
/** The most n-grams in all rows together; beyond them texts are left out. */
const MAX_ENTRIES = 20_000_000;
/** The most entries times labels with n-grams of characters; more would train for minutes. */
const MAX_WORK = 300_000_000;
/** The most n-grams that are used, the commonest of all. */
const MAX_FEATURES = 2 ** 18;
/** The most weights that are kept, 16 MB; the least important are dropped. */
const MAX_WEIGHTS = 2 ** 22;
/** The number of texts from which the n-grams of all are estimated. */
const SAMPLE = 1000;
const SEED = 1;

/** A linear model on n-grams. */
export class Partner {
  /** The numbers of the model, as in its file. */
  readonly state: PartnerState;

  /** @param state The result of {@link Partner.fit}. */
  constructor(state: PartnerState) {
    this.state = state;
  }

  /**
   * Trains on texts: support vector classification for classes, a ridge regression for numbers.
   * TF-IDF is sublinear, and n-grams of words and of characters have a norm of 1 each.
   *
   * @param wanted Whether n-grams of characters may count; they do not if they would take minutes.
   */
  static fit(
    examples: LabelledTexts,
    problem: Problem,
    wanted: { characters: boolean } = { characters: true },
  ): Partner {
    const { problemType, labels } = problem;
    const labelCount = labels.length;
    const { kept, rows, characters } = readRows(examples, labelCount, wanted);
    const targets = kept.map((row) => labelRow(examples.at(row)!.label, problem));

    const { hashes, idf } = features(rows);
    const sparse = sparseRows(rows, hashes, idf);
    const weights = new Float32Array(hashes.length * labelCount);
    const bias = new Float32Array(labelCount);
    for (let label = 0; label < labelCount; label++) {
      const { shift, scale, values } = target(targets, label, problemType);
      const hyperplane = fitHyperplane(sparse, values, {
        errorWeight: characters ? ERROR_WEIGHT.characters : ERROR_WEIGHT.words,
        regression: problemType === "regression",
      });
      for (let feature = 0; feature < hashes.length; feature++) {
        weights[feature * labelCount + label] = scale * hyperplane[feature]!;
      }
      bias[label] = shift + scale * hyperplane[hashes.length]!;
    }
    const state = { problemType, labelCount, characters, hashes, idf, weights, bias };
    return new Partner(pruned(state));
  }

  /** The logits of a text, or the number: `[labels]`. */
  logits(text: string): Float32Array {
    const { characters, hashes, idf, weights, bias, labelCount } = this.state;
    const logits = Float32Array.from(bias);
    const row = ngramsOf(text, { characters });
    for (const block of blocksOf(row, hashes, idf)) {
      for (const [feature, value] of block) {
        const start = feature * labelCount;
        for (let label = 0; label < labelCount; label++) {
          logits[label]! += value * weights[start + label]!;
        }
      }
    }
    return logits;
  }

  /** The size of the weights and n-grams in memory and in a file, in bytes. */
  get bytes(): number {
    const { hashes, idf, weights, bias } = this.state;
    return hashes.byteLength + idf.byteLength + weights.byteLength + bias.byteLength;
  }
}

/** The n-grams of as many texts, drawn at random, as training has room for. */
function readRows(
  examples: LabelledTexts,
  labelCount: number,
  wanted: { characters: boolean },
): { kept: number[]; rows: Ngrams[]; characters: boolean } {
  const order = new Random(SEED).shuffle([...Array(examples.length).keys()]);
  const entries = ({ words, characters }: Ngrams) => words.length + characters.length;
  const sampled = order.slice(0, SAMPLE).map((row) => entries(ngramsOf(examples.at(row)!.text)));
  const mean = sampled.reduce((sum, count) => sum + count, 0) / sampled.length;
  const characters = wanted.characters && mean * examples.length * labelCount <= MAX_WORK;
  const read = new Map<number, Ngrams>();
  let room = MAX_ENTRIES;
  for (const row of order) {
    const ngrams = ngramsOf(examples.at(row)!.text, { characters });
    room -= entries(ngrams);
    if (room < 0 && read.size > 0) break;
    read.set(row, ngrams);
  }
  const kept = [...read.keys()].sort((a, b) => a - b);
  return { kept, rows: kept.map((row) => read.get(row)!), characters };
}

/** The commonest n-grams, ascending, and their inverse document frequencies. */
function features(rows: readonly Ngrams[]): Pick<PartnerState, "hashes" | "idf"> {
  const counts = new Map<number, number>();
  for (const { words, characters } of rows) {
    for (const hash of new Set([...words, ...characters])) {
      counts.set(hash, (counts.get(hash) ?? 0) + 1);
    }
  }
  let entries = [...counts];
  if (entries.length > MAX_FEATURES) {
    entries.sort(([a, countA], [b, countB]) => countB - countA || a - b);
    entries = entries.slice(0, MAX_FEATURES);
  }
  entries.sort(([a], [b]) => a - b);
  return {
    hashes: Uint32Array.from(entries, ([hash]) => hash),
    idf: Float32Array.from(
      entries,
      ([, count]) => Math.log((1 + rows.length) / (1 + count)) + 1,
    ),
  };
}

/** The features of a text with their weights; words and characters have a norm of 1 each. */
function blocksOf(
  { words, characters }: Ngrams,
  known: Uint32Array,
  idf: Float32Array,
): [feature: number, value: number][][] {
  return [words, characters].map((hashes) => {
    const counts = new Map<number, number>();
    for (const hash of hashes) {
      const feature = indexOf(known, hash);
      if (feature >= 0) counts.set(feature, (counts.get(feature) ?? 0) + 1);
    }
    let squares = 0;
    const block = Array.from(counts, ([feature, count]): [number, number] => {
      const value = (1 + Math.log(count)) * idf[feature]!;
      squares += value * value;
      return [feature, value];
    });
    const norm = Math.sqrt(squares) || 1;
    for (const entry of block) entry[1] /= norm;
    return block;
  });
}

/** The index of a value in an ascending list; -1 if it is not there. */
function indexOf(ascending: Uint32Array, value: number): number {
  let [low, high] = [0, ascending.length - 1];
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const found = ascending[middle]!;
    if (found === value) return middle;
    if (found < value) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

function sparseRows(
  rows: readonly Ngrams[],
  known: Uint32Array,
  idf: Float32Array,
): SparseRows {
  const offsets = new Uint32Array(rows.length + 1);
  const room = rows.reduce(
    (sum, { words, characters }) => sum + words.length + characters.length,
    0,
  );
  const columns = new Uint32Array(room);
  const values = new Float32Array(room);
  let end = 0;
  for (const [row, ngrams] of rows.entries()) {
    for (const block of blocksOf(ngrams, known, idf)) {
      for (const [feature, value] of block) {
        columns[end] = feature;
        values[end++] = value;
      }
    }
    offsets[row + 1] = end;
  }
  return { offsets, columns, values, columnCount: idf.length };
}

/** The signs of a class, or numbers less their mean in units of their deviation. */
function target(
  rows: readonly (readonly number[])[],
  label: number,
  problemType: ProblemType,
): { values: Float32Array; shift: number; scale: number } {
  const values = Float32Array.from(rows, (row) => row[label]!);
  if (problemType !== "regression") {
    return { values: values.map((value) => value === 1 ? 1 : -1), shift: 0, scale: 1 };
  }
  const shift = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - shift) ** 2, 0) / values.length;
  const scale = Math.sqrt(variance) || 1;
  return { values: values.map((value) => (value - shift) / scale), shift, scale };
}

/** The model without the n-grams of the smallest weights, if it has more than a file should. */
function pruned(state: PartnerState): PartnerState {
  const { hashes, idf, weights, labelCount } = state;
  const room = Math.floor(MAX_WEIGHTS / labelCount);
  if (hashes.length <= room) return state;
  const importance = Float32Array.from(hashes, (_, feature) => {
    let largest = 0;
    for (let label = 0; label < labelCount; label++) {
      largest = Math.max(largest, Math.abs(weights[feature * labelCount + label]!));
    }
    return largest * idf[feature]!;
  });
  const kept = [...hashes.keys()]
    .sort((a, b) => importance[b]! - importance[a]! || a - b)
    .slice(0, room)
    .sort((a, b) => a - b);
  return {
    ...state,
    hashes: Uint32Array.from(kept, (feature) => hashes[feature]!),
    idf: Float32Array.from(kept, (feature) => idf[feature]!),
    weights: Float32Array.from(
      kept.flatMap((feature) => [
        ...weights.subarray(feature * labelCount, (feature + 1) * labelCount),
      ]),
    ),
  };
}
