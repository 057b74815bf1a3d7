/**
 * Turns texts into token ids, and reads and writes a tokenizer's files.
 *
 * @module
 */
import {
  type Normalization,
  SPECIAL_TOKENS_MAP,
  type SpecialTokens,
  tokenizerConfig,
  tokenizerJson,
} from "../formats/tokenizer_files.ts";
import { readTokenizerFolder, type TokenizerFolder } from "../formats/tokenizer_folder.ts";
import { TokenizerJson } from "../formats/tokenizer_json.ts";
import { UserError } from "../../lib/user_error.ts";
import { type TokenFinder, tokenFinder } from "./added_tokens.ts";
import { chunksOf, headAndTail, keptTokens, type LongTexts, TRUNCATE } from "./long_texts.ts";
import { type Normalizer, normalizerOf } from "./normalizers.ts";
import { type PreTokenizer, preTokenizerOf, splitsAtSpaces } from "./pre_tokenizers.ts";
import { type SubwordModel, subwordModel, unknownId, vocabularyOf } from "./subword_model.ts";
import { type Template, templateOf } from "./template.ts";

/** The `model_max_length` that transformers gives to a tokenizer without one. */
const NO_MAX_LENGTH = 1e30;

/** Settings of {@link Tokenizer.fromVocabulary}. */
export interface VocabularyOptions {
  /** The most tokens of a text, `[CLS]` and `[SEP]` included. */
  modelMaxLength: number;
  /** The cleaning of texts; by default they are lower-cased and lose their accents. */
  normalization?: Normalization;
}

/** The number of tokens, and the number of unknown ones among them. */
export interface TokenCounts {
  tokens: number;
  unknown: number;
}

/** The part of texts that does not get into a model. */
export interface TextLoss {
  /** The number of texts. */
  texts: number;
  /** The number of texts that are longer than allowed. */
  long: number;
  /** The number of tokens of all texts, without special tokens. */
  tokens: number;
  /** The number of tokens that no model sees. */
  lost: number;
}

/** Adds the loss of further texts. */
export function addLoss(loss: TextLoss, further: TextLoss): void {
  for (const key of ["texts", "long", "tokens", "lost"] as const) loss[key] += further[key];
}

/** The share of unknown tokens. */
export function unknownShare({ tokens, unknown }: TokenCounts): number {
  return tokens === 0 ? 0 : unknown / tokens;
}

/** A text, or a pair of texts, as token ids. */
export interface Encoding {
  /** The token ids, special tokens included. */
  ids: number[];
  /**
   * The index of the first token of type 1: the second text's first, if the tokenizer has types.
   */
  secondStart?: number;
  /** Whether the text was longer than allowed and lost a part. */
  truncated: boolean;
}

/** An average length of tokens that few texts exceed. */
const CHARACTERS_PER_TOKEN = 16;

/** Turns texts into token ids. */
export class Tokenizer {
  readonly #folder: TokenizerFolder;
  readonly #encoder: Encoder;
  /** The most tokens of a text, special tokens included. */
  readonly maxLength: number;
  /** The treatment of texts that have more tokens. */
  readonly longTexts: LongTexts;

  private constructor(
    folder: TokenizerFolder,
    maxLength: number,
    encoder = new Encoder(folder.definition, folder.specialTokens),
    longTexts = folder.longTexts ?? TRUNCATE,
  ) {
    this.#folder = folder;
    this.#encoder = encoder;
    this.maxLength = maxLength;
    this.longTexts = longTexts;
  }

  /**
   * A BERT tokenizer over a vocabulary.
   *
   * @param vocabulary The tokens in id order.
   * @throws {UserError} If the vocabulary lacks one of BERT's special tokens.
   */
  static fromVocabulary(
    vocabulary: readonly string[],
    { modelMaxLength, normalization = { lowercase: true } }: VocabularyOptions,
  ): Tokenizer {
    const json = tokenizerJson(vocabulary, normalization);
    const folder: TokenizerFolder = {
      definition: TokenizerJson.parse(json),
      json: { ...json },
      config: { ...tokenizerConfig({ ...normalization, modelMaxLength }) },
      specialTokensMap: SPECIAL_TOKENS_MAP,
      specialTokens: SPECIAL_TOKENS_MAP,
      maxLength: modelMaxLength,
      keeps: "start",
    };
    return new Tokenizer(folder, modelMaxLength);
  }

  /**
   * Reads the tokenizer of a model's folder. It cuts texts to the `model_max_length` that it was
   * saved with; see {@link withMaxLength}.
   *
   * @param embeddings The number of tokens that the model has embeddings for.
   * @throws {UserError} If there is none, Graft cannot run it as Python does, or it has ids that
   * the model has no embeddings for.
   */
  static async load(dir: string, embeddings = Infinity): Promise<Tokenizer> {
    const folder = await readTokenizerFolder(dir);
    const tokenizer = new Tokenizer(folder, folder.maxLength ?? NO_MAX_LENGTH);
    const { vocabularySize } = tokenizer;
    if (vocabularySize <= embeddings) return tokenizer;
    throw new UserError(
      `Cannot read '${dir}': its tokenizer has ${vocabularySize} tokens, its embeddings ${embeddings}`,
    );
  }

  /** Encodes a text, cut to {@link maxLength} tokens; the first chunk of a text in chunks. */
  encode(text: string): Encoding {
    const { before, after } = this.#encoder.template.single;
    const room = this.#roomBeside(before.length + after.length);
    const tokens = this.#tokensOf(text, room);
    const truncated = tokens.length > room;
    return { ids: [...before, ...this.#cut(tokens, room), ...after], truncated };
  }

  /** Encodes a text as rows for a model: one, or one for each chunk of a long text. */
  encodeRows(text: string): Encoding[] {
    if (this.longTexts.strategy !== "chunk") return [this.encode(text)];
    const { before, after } = this.#encoder.template.single;
    const room = this.#roomBeside(before.length + after.length);
    const tokens = this.#encoder.encode(text);
    const { chunks, truncated } = chunksOf(tokens, room, this.longTexts.stride);
    return chunks.map((ids) => ({ ids: [...before, ...ids, ...after], truncated }));
  }

  /** The part of texts that does not get into a model. */
  lossOf(texts: Iterable<string>): TextLoss {
    const loss = { texts: 0, long: 0, tokens: 0, lost: 0 };
    const room = this.#roomBeside(this.specialTokenCount);
    for (const text of texts) {
      const tokens = this.#encoder.encode(text).length;
      loss.texts++;
      loss.tokens += tokens;
      if (tokens <= room) continue;
      loss.long++;
      loss.lost += tokens - keptTokens(tokens, room, this.longTexts);
    }
    return loss;
  }

  /** The ids of a whole text, however long it is, special tokens included. */
  encodeWhole(text: string): number[] {
    const { before, after } = this.#encoder.template.single;
    return [...before, ...this.#encoder.encode(text), ...after];
  }

  /** The number of tokens of a text before it is cut, special tokens included. */
  countTokens(text: string): number {
    return this.specialTokenCount + this.#encoder.encode(text).length;
  }

  /**
   * Encodes a pair of texts. If they are too long together the longer one is cut; if they still are,
   * both are cut to the same length, as by transformers' `longest_first`.
   */
  encodePair(first: string, second: string): Encoding {
    const { template } = this.#encoder;
    const { before, between, after } = template.pair;
    const room = this.#roomBeside(before.length + between.length + after.length);
    const [one, other] = [this.#tokensOf(first, room), this.#tokensOf(second, room)];
    const [firstRoom, secondRoom] = sharedRoom(one.length, other.length, room);
    const firstIds = this.#cut(one, firstRoom);
    const secondStart = before.length + firstIds.length + between.length;
    return {
      ids: [...before, ...firstIds, ...between, ...this.#cut(other, secondRoom), ...after],
      ...template.hasTypes && { secondStart },
      truncated: one.length + other.length > room,
    };
  }

  /** The number of special tokens around a text. */
  get specialTokenCount(): number {
    const { before, after } = this.#encoder.template.single;
    return before.length + after.length;
  }

  /** The number of these tokens that are unknown. */
  countUnknown(ids: readonly number[]): number {
    const { unknownId } = this.#encoder;
    return unknownId === undefined ? 0 : ids.reduce((sum, id) => sum + Number(id === unknownId), 0);
  }

  /** The number of tokens of texts, without special tokens, and of the unknown ones among them. */
  countAll(texts: Iterable<{ ids: readonly number[] }>): TokenCounts {
    const counts = { tokens: 0, unknown: 0 };
    for (const { ids } of texts) {
      counts.tokens += ids.length - this.specialTokenCount;
      counts.unknown += this.countUnknown(ids);
    }
    return counts;
  }

  /** The id of the token that masks another, such as `[MASK]`, if there is one. */
  get maskId(): number | undefined {
    const { mask_token } = this.#folder.specialTokens;
    return mask_token === undefined ? undefined : this.#encoder.idOf(mask_token);
  }

  /** Whether a token is special and no part of a text, such as `[SEP]`. */
  isSpecial(id: number): boolean {
    return this.#encoder.specialIds.has(id);
  }

  /** Whether a token continues the word of the one before it. */
  continuesWord(id: number): boolean {
    return this.#encoder.continuations.has(id);
  }

  /** The tokens by id; ids without a token are left out. */
  tokens(): string[] {
    const tokens: string[] = [];
    for (const [token, id] of this.#encoder.tokens()) tokens[id] = token;
    return tokens;
  }

  /** The size of the vocabulary: one more than the largest id. */
  get vocabularySize(): number {
    return this.#encoder.tokens().reduce((largest, [, id]) => Math.max(largest, id), -1) + 1;
  }

  /** The same tokenizer, cutting texts to `maxLength` tokens, special tokens included. */
  withMaxLength(maxLength: number): Tokenizer {
    return new Tokenizer(this.#folder, maxLength, this.#encoder, this.longTexts);
  }

  /** The same tokenizer, with another treatment of texts that are too long. */
  withLongTexts(longTexts: LongTexts): Tokenizer {
    return new Tokenizer(this.#folder, this.maxLength, this.#encoder, longTexts);
  }

  #roomBeside(specialTokens: number): number {
    return Math.max(0, this.maxLength - specialTokens);
  }

  #cut(tokens: number[], room: number): number[] {
    if (tokens.length <= room) return tokens;
    if (this.longTexts.strategy === "head-tail") return headAndTail(tokens, room);
    return this.#folder.keeps === "start"
      ? tokens.slice(0, room)
      : tokens.slice(tokens.length - room);
  }

  /**
   * The tokens of a text, or of its first words if these already have more than `room`: encoding
   * the rest of a long text would be wasted time.
   */
  #tokensOf(text: string, room: number): number[] {
    const keepsStart = this.#folder.keeps === "start" && this.longTexts.strategy !== "head-tail";
    if (keepsStart && this.#encoder.splitsAtSpaces) {
      for (let size = CHARACTERS_PER_TOKEN * this.maxLength; size < text.length; size *= 4) {
        // In some tokenizers the part before the first space has the same tokens alone.
        const end = text.slice(0, size).search(/(?<=\S) +\S*\s*$/);
        if (end < 0) break;
        const tokens = this.#encoder.encode(text.slice(0, end));
        if (tokens.length > room) return tokens;
      }
    }
    return this.#encoder.encode(text);
  }

  /** The tokenizer's files by name, as transformers and tokenizers read them. */
  files(): Record<string, string> {
    const json = (value: unknown) => JSON.stringify(value, null, 2) + "\n";
    const { json: tokenizer, specialTokensMap, definition: { model } } = this.#folder;
    const { long_texts: _, ...config } = this.#folder.config;
    const files = {
      "tokenizer.json": json(tokenizer),
      "tokenizer_config.json": json({
        ...config,
        model_max_length: this.maxLength,
        // Only Graft reads this key; transformers ignores it.
        ...this.longTexts.strategy !== "truncate" && { long_texts: this.longTexts },
      }),
      "special_tokens_map.json": json(specialTokensMap),
    };
    if (model.type !== "WordPiece") return files;
    const inOrder = Object.entries(model.vocab).sort(([, a], [, b]) => a - b);
    return { ...files, "vocab.txt": inOrder.map(([token]) => token + "\n").join("") };
  }
}

/** The numbers of tokens to keep of two texts, as Python's `tokenizers` computes them. */
function sharedRoom(first: number, second: number, room: number): [number, number] {
  if (first + second <= room) return [first, second];
  const [shorter, half] = [Math.min(first, second), Math.floor(room / 2)];
  const shorterRoom = Math.min(shorter, half);
  const longerRoom = room - shorterRoom;
  return first > second ? [longerRoom, shorterRoom] : [shorterRoom, longerRoom];
}

/** The steps from a text to its tokens, without special tokens. */
class Encoder {
  readonly template: Template;
  readonly unknownId: number | undefined;
  readonly specialIds: ReadonlySet<number>;
  readonly continuations: ReadonlySet<number>;
  /** Whether a text before a space has the same tokens as alone. */
  readonly splitsAtSpaces: boolean;
  readonly #vocabulary: ReadonlyMap<string, number>;
  readonly #added: ReadonlyMap<string, number>;
  readonly #findAdded: TokenFinder;
  readonly #findNormalized: TokenFinder;
  readonly #normalize: Normalizer;
  readonly #preTokenize: PreTokenizer;
  readonly #model: SubwordModel;

  constructor(definition: TokenizerJson, specialTokens: SpecialTokens) {
    const { added_tokens: added, model } = definition;
    const vocabulary = vocabularyOf(model);
    this.#vocabulary = vocabulary;
    this.#added = new Map(added.map(({ content, id }) => [content, id]));
    this.#normalize = normalizerOf(definition.normalizer);
    this.#preTokenize = preTokenizerOf(definition.pre_tokenizer);
    this.#model = subwordModel(model, vocabulary);
    this.#findAdded = tokenFinder(added.filter(({ normalized }) => !normalized));
    this.#findNormalized = tokenFinder(
      added.filter(({ normalized }) => normalized),
      ({ content }) => this.#normalize(content),
    );
    this.template = templateOf(definition.post_processor);
    this.unknownId = unknownId(model, vocabulary);
    const named = Object.values(specialTokens).map((token) => this.idOf(token));
    const continues = model.type === "WordPiece"
      ? (token: string) => token.startsWith(model.continuing_subword_prefix)
      : (token: string) => !/^[Ġ▁]/.test(token);
    this.continuations = new Set(
      vocabulary.entries().filter(([token]) => continues(token)).map(([, id]) => id),
    );
    this.specialIds = new Set([
      ...added.filter(({ special }) => special).map(({ id }) => id),
      ...named.filter((id) => id !== undefined),
    ]);
    // A token such as "[USER NAME]" may contain the space.
    this.splitsAtSpaces = splitsAtSpaces(definition.pre_tokenizer) &&
      !added.some(({ content }) => /\S\s/.test(content));
  }

  /** The id of a token, if there is one. */
  idOf(token: string): number | undefined {
    return this.#added.get(token) ?? this.#vocabulary.get(token);
  }

  /** All tokens with their ids. */
  *tokens(): Generator<[token: string, id: number]> {
    yield* this.#vocabulary;
    yield* this.#added;
  }

  encode(text: string): number[] {
    const ids: number[] = [];
    for (const part of this.#findAdded(text)) {
      if ("id" in part) {
        ids.push(part.id);
        continue;
      }
      for (const normalized of this.#findNormalized(this.#normalize(part.text))) {
        if ("id" in normalized) {
          ids.push(normalized.id);
          continue;
        }
        const isFirst = part.start === 0 && normalized.start === 0;
        for (const word of this.#preTokenize([{ text: normalized.text, isFirst }])) {
          for (const id of this.#model(word.text)) ids.push(id);
        }
      }
    }
    return ids;
  }
}
