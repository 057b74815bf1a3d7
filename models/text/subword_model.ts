/**
 * Splits words into tokens of a vocabulary: WordPiece, byte-pair encoding (BPE) or Unigram. The first two
 * are those of JavaScript's `tokenizers`. Its Unigram has no byte fallback, and takes three times the
 * memory of the one here for 250,000 tokens.
 *
 * @module
 */
import { BPE, WordPiece } from "@huggingface/tokenizers";
import { mergeOf, type ModelJson, type UnigramJson } from "../formats/tokenizer_json.ts";
import { remembered } from "./remembered.ts";

/** The logarithm by which an unknown character is less likely than the least likely token. */
const UNKNOWN_PENALTY = 10;

/** Returns the ids of a word's tokens. */
export type SubwordModel = (word: string) => readonly number[];

/** The id of each token. */
export function vocabularyOf(model: ModelJson): Map<string, number> {
  return model.type === "Unigram"
    ? new Map(model.vocab.map(([token], id) => [token, id]))
    : new Map(Object.entries(model.vocab));
}

/** The id for unknown words and characters; byte-level vocabularies may have none. */
export function unknownId(model: ModelJson, ids: ReadonlyMap<string, number>): number | undefined {
  if (model.type === "Unigram") return model.unk_id;
  return model.unk_token == null ? undefined : ids.get(model.unk_token);
}

/** The function that a tokenizer's `model` describes. */
export function subwordModel(model: ModelJson, ids: ReadonlyMap<string, number>): SubwordModel {
  return remembered(model.type === "Unigram" ? unigram(model, ids) : librarySplit(model, ids));
}

function librarySplit(
  json: Exclude<ModelJson, UnigramJson>,
  ids: ReadonlyMap<string, number>,
): SubwordModel {
  const unknown = unknownId(json, ids);
  const model = json.type === "WordPiece" ? new WordPiece(json) : new BPE({
    ...json,
    dropout: null,
    unk_token: json.unk_token ?? null,
    end_of_word_suffix: null,
    merges: json.merges.map(mergeOf),
  });
  return (word) => model([word]).flatMap((token) => ids.get(token) ?? unknown ?? []);
}

/**
 * Splits a word into the most likely tokens of a Unigram model (Kudo, 2018) by Viterbi's algorithm, as
 * Python's `tokenizers` does. Scores are natural logarithms of probabilities.
 */
function unigram(
  { vocab, unk_id, byte_fallback }: UnigramJson,
  ids: ReadonlyMap<string, number>,
): SubwordModel {
  const scores = Float64Array.from(vocab, ([, score]) => score);
  const unknownScore = scores.reduce((a, b) => Math.min(a, b), Infinity) - UNKNOWN_PENALTY;
  scores[unk_id] = unknownScore;
  /** The length of the longest token that begins with each code unit. */
  const longest = new Map<number, number>();
  for (const [token] of vocab) {
    const first = token.charCodeAt(0);
    longest.set(first, Math.max(longest.get(first) ?? 0, token.length));
  }

  return (word) => {
    const { length } = word;
    /** The best tokens up to each place: their score, the start of the last, and its id. */
    const best = new Float64Array(length + 1).fill(-Infinity);
    const from = new Int32Array(length + 1);
    const last = new Int32Array(length + 1);
    best[0] = 0;
    const offer = (start: number, end: number, id: number, score: number) => {
      if (best[start]! + score <= best[end]!) return;
      best[end] = best[start]! + score;
      from[end] = start;
      last[end] = id;
    };
    for (let start = 0; start < length;) {
      const first = word.charCodeAt(start);
      const characterEnd = start + (word.codePointAt(start)! > 0xFFFF ? 2 : 1);
      const end = Math.min(length, start + (longest.get(first) ?? 0));
      let isKnown = false;
      for (let place = characterEnd; place <= end; place++) {
        const id = ids.get(word.slice(start, place));
        if (id === undefined) continue;
        offer(start, place, id, scores[id]!);
        isKnown ||= place === characterEnd;
      }
      if (!isKnown) offer(start, characterEnd, unk_id, unknownScore);
      start = characterEnd;
    }

    const tokens: number[] = [];
    for (let end = length; end > 0;) {
      let start = from[end]!;
      const id = last[end]!;
      // Neighbouring unknown characters are one token.
      if (id === unk_id) { while (start > 0 && last[start] === unk_id) start = from[start]!; }
      const bytes = id === unk_id && byte_fallback
        ? byteIds(word.slice(start, end), ids)
        : undefined;
      if (bytes === undefined) tokens.push(id);
      else tokens.push(...bytes.reverse());
      end = start;
    }
    return tokens.reverse();
  };
}

/** The ids of a text's bytes, if the vocabulary has all of them. */
function byteIds(text: string, ids: ReadonlyMap<string, number>): number[] | undefined {
  const bytes = Array.from(new TextEncoder().encode(text), (byte) => {
    return ids.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
  });
  const found = bytes.filter((id) => id !== undefined);
  return found.length === bytes.length ? found : undefined;
}
