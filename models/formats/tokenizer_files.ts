/**
 * The files that describe a BERT tokenizer to Hugging Face's libraries.
 *
 * @module
 */
import { UserError } from "../../lib/user_error.ts";

/** The content of `special_tokens_map.json`: BERT's tokens by their purpose. */
export const SPECIAL_TOKENS_MAP = {
  pad_token: "[PAD]",
  unk_token: "[UNK]",
  cls_token: "[CLS]",
  sep_token: "[SEP]",
  mask_token: "[MASK]",
} as const;

/** RoBERTa's special tokens. */
export const ROBERTA_TOKENS = {
  bos_token: "<s>",
  eos_token: "</s>",
  pad_token: "<pad>",
  unk_token: "<unk>",
  cls_token: "<s>",
  sep_token: "</s>",
  mask_token: "<mask>",
} as const;

/** MPNet's special tokens, which are RoBERTa's but for one. */
export const MPNET_TOKENS = { ...ROBERTA_TOKENS, unk_token: "[UNK]" } as const;

/** Tokens by their purpose, as transformers names it. */
export type SpecialTokens = Partial<Record<keyof typeof ROBERTA_TOKENS, string>>;

/** The purposes of tokens. */
export const SPECIAL_TOKEN_NAMES = [
  "bos_token",
  "eos_token",
  "pad_token",
  "unk_token",
  "cls_token",
  "sep_token",
  "mask_token",
] as const;

/** The special tokens, in the order of {@linkcode SPECIAL_TOKENS_MAP}. */
export const SPECIAL_TOKENS: readonly string[] = Object.values(SPECIAL_TOKENS_MAP);

/** Marks a token that continues a word. */
export const CONTINUATION_PREFIX = "##";

/** The fewest tokens of a text: `[CLS]`, one word and `[SEP]`. */
export const MIN_LENGTH = 3;

/** The longest word; longer ones are encoded as `[UNK]`, as in the published BERT models. */
const MAX_WORD_CHARACTERS = 100;

/** The content of a BERT tokenizer's `tokenizer.json`. */
export interface BertTokenizerJson {
  version: "1.0";
  truncation: null;
  padding: null;
  /** The special tokens, found in a text before it is normalized. */
  added_tokens: AddedTokenJson[];
  normalizer: BertNormalizerJson;
  pre_tokenizer: { type: "BertPreTokenizer" };
  post_processor: FrameJson;
  decoder: { type: "WordPiece"; prefix: string; cleanup: boolean };
  model: WordPieceModelJson;
}

/** A token that is never split, in `tokenizer.json`. */
export interface AddedTokenJson {
  id: number;
  content: string;
  single_word: boolean;
  lstrip: boolean;
  rstrip: boolean;
  normalized: boolean;
  special: boolean;
}

/** The cleaning of texts, in `tokenizer.json`. */
export interface BertNormalizerJson {
  type: "BertNormalizer";
  clean_text: boolean;
  handle_chinese_chars: boolean;
  strip_accents: boolean;
  lowercase: boolean;
}

/** The tokens that frame a sequence, each with its id, in `tokenizer.json`. */
export interface FrameJson {
  type: "BertProcessing" | "RobertaProcessing";
  sep: [token: string, id: number];
  cls: [token: string, id: number];
}

/** The vocabulary and how it splits words, in `tokenizer.json`. */
export interface WordPieceModelJson {
  type: "WordPiece";
  unk_token: string;
  continuing_subword_prefix: string;
  max_input_chars_per_word: number;
  /** The id of each token. */
  vocab: Record<string, number>;
}

/**
 * Describes a BERT tokenizer over a vocabulary as `tokenizer.json`, which Python's `tokenizers` and
 * `transformers` and npm's `@huggingface/tokenizers` load. It encodes a text as `[CLS] text [SEP]`
 * and a pair of texts as `[CLS] first [SEP] second [SEP]`, with token type 1 for the second text.
 *
 * @param vocabulary The tokens in id order, for example from {@linkcode learnVocabulary}.
 * @throws {Error} If the vocabulary lacks one of the five special tokens.
 */
export function tokenizerJson(
  vocabulary: readonly string[],
  options: Normalization & TokenizerOptions,
): BertTokenizerJson {
  const ids = tokenIds(vocabulary);
  const { specialTokens = SPECIAL_TOKENS_MAP, isRoberta = false } = options;
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: addedTokensJson(ids, specialTokens),
    normalizer: normalizerJson(options),
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: frameJson(ids, specialTokens, isRoberta),
    decoder: { type: "WordPiece", prefix: CONTINUATION_PREFIX, cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: specialTokens.unk_token!,
      continuing_subword_prefix: CONTINUATION_PREFIX,
      max_input_chars_per_word: MAX_WORD_CHARACTERS,
      vocab: Object.fromEntries(ids),
    },
  };
}

/** The special tokens around texts, where they are not BERT's. */
export interface TokenizerOptions {
  /** BERT's by default. */
  specialTokens?: SpecialTokens;
  /** Whether a pair has two separators in its middle, as RoBERTa's. */
  isRoberta?: boolean;
}

/**
 * Describes a RoBERTa tokenizer, of `vocab.json` and `merges.txt`, as `tokenizer.json`.
 *
 * @param merges Pairs of tokens, with a space between them, the first to be joined first.
 * @throws {UserError} If the vocabulary lacks one of the special tokens.
 */
export function byteLevelTokenizerJson(
  vocabulary: Record<string, number>,
  merges: readonly string[],
  { specialTokens, addPrefixSpace }: { specialTokens: SpecialTokens; addPrefixSpace: boolean },
): Record<string, unknown> {
  const ids = new Map(Object.entries(vocabulary));
  const byteLevel = { type: "ByteLevel", add_prefix_space: addPrefixSpace, trim_offsets: true };
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: addedTokensJson(ids, specialTokens),
    normalizer: null,
    pre_tokenizer: { ...byteLevel, use_regex: true },
    post_processor: {
      ...frameJson(ids, specialTokens, true),
      trim_offsets: true,
      add_prefix_space: addPrefixSpace,
    },
    decoder: { ...byteLevel, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: "",
      end_of_word_suffix: "",
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: vocabulary,
      merges,
    },
  };
}

function addedTokensJson(
  ids: ReadonlyMap<string, number>,
  specialTokens: SpecialTokens,
): AddedTokenJson[] {
  const { mask_token } = specialTokens;
  // RoBERTa's `<mask>` takes the space before it.
  const lstrip = specialTokens.bos_token !== undefined;
  return [...new Set(Object.values(specialTokens))]
    .map((token) => ({
      ...addedTokenJson(token, specialTokenId(ids, token)),
      lstrip: lstrip && token === mask_token,
    }))
    .sort((one, other) => one.id - other.id);
}

function frameJson(
  ids: ReadonlyMap<string, number>,
  { cls_token, sep_token }: SpecialTokens,
  isRoberta: boolean,
): FrameJson {
  return {
    type: isRoberta ? "RobertaProcessing" : "BertProcessing",
    sep: [sep_token!, specialTokenId(ids, sep_token!)],
    cls: [cls_token!, specialTokenId(ids, cls_token!)],
  };
}

function specialTokenId(ids: ReadonlyMap<string, number>, token: string): number {
  const id = ids.get(token);
  if (id === undefined) {
    throw new UserError(`Cannot describe the tokenizer: the vocabulary must hold '${token}'`);
  }
  return id;
}

function addedTokenJson(content: string, id: number): AddedTokenJson {
  return {
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  };
}

/** The cleaning of texts by a BERT tokenizer. */
export interface Normalization {
  lowercase: boolean;
  /** Whether accents are removed; by default as {@link lowercase}. */
  stripAccents?: boolean;
  /** Whether each Chinese character is a word of its own; true by default. */
  tokenizeChineseCharacters?: boolean;
}

/** The cleaning of texts by a BERT tokenizer, as `tokenizer.json` describes it. */
export function normalizerJson(
  { lowercase, stripAccents = lowercase, tokenizeChineseCharacters = true }: Normalization,
): BertNormalizerJson {
  return {
    type: "BertNormalizer",
    clean_text: true,
    handle_chinese_chars: tokenizeChineseCharacters,
    strip_accents: stripAccents,
    lowercase,
  };
}

/** The content of a BERT tokenizer's `tokenizer_config.json`. */
export interface TokenizerConfig {
  tokenizer_class: "BertTokenizer";
  do_lower_case: boolean;
  strip_accents: boolean;
  tokenize_chinese_chars: boolean;
  clean_up_tokenization_spaces: boolean;
  /** The most tokens of a sequence, `[CLS]` and `[SEP]` included. */
  model_max_length: number;
  pad_token: string;
  unk_token: string;
  cls_token: string;
  sep_token: string;
  mask_token: string;
}

/**
 * Describes a BERT tokenizer as `tokenizer_config.json`, to lie beside {@linkcode tokenizerJson}.
 *
 * @param options Its `modelMaxLength` is the most tokens that the model takes at once.
 */
export function tokenizerConfig(
  options: Normalization & { modelMaxLength: number; specialTokens?: SpecialTokens },
): TokenizerConfig {
  const { strip_accents, handle_chinese_chars, lowercase } = normalizerJson(options);
  return {
    tokenizer_class: "BertTokenizer",
    do_lower_case: lowercase,
    strip_accents,
    tokenize_chinese_chars: handle_chinese_chars,
    clean_up_tokenization_spaces: true,
    model_max_length: options.modelMaxLength,
    ...SPECIAL_TOKENS_MAP,
    ...options.specialTokens,
  };
}

/** The id of each token, which is its place in the vocabulary. */
export function tokenIds(vocabulary: readonly string[]): Map<string, number> {
  return new Map(vocabulary.map((token, id) => [token, id]));
}
