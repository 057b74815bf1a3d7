/**
 * The files that describe a BERT tokenizer to Hugging Face's libraries.
 *
 * @module
 */
import { UserError } from "../../lib/user_error.ts";

/** The content of `special_tokens_map.json`: which token BERT uses for which purpose. */
export const SPECIAL_TOKENS_MAP = {
  pad_token: "[PAD]",
  unk_token: "[UNK]",
  cls_token: "[CLS]",
  sep_token: "[SEP]",
  mask_token: "[MASK]",
} as const;

/** The special tokens, in the order of {@linkcode SPECIAL_TOKENS_MAP}. */
export const SPECIAL_TOKENS: readonly string[] = Object.values(SPECIAL_TOKENS_MAP);

/** Marks a token that continues a word. */
export const CONTINUATION_PREFIX = "##";

/** The fewest tokens of a text: `[CLS]`, one word and `[SEP]`. */
export const MIN_LENGTH = 3;

/** Longer words are encoded as `[UNK]`, as in the published BERT models. */
const MAX_WORD_CHARACTERS = 100;

/** The content of a BERT tokenizer's `tokenizer.json`. */
export interface TokenizerJson {
  version: "1.0";
  truncation: null;
  padding: null;
  /** The special tokens, found in a text before it is normalized. */
  added_tokens: AddedTokenJson[];
  normalizer: BertNormalizerJson;
  pre_tokenizer: { type: "BertPreTokenizer" };
  post_processor: BertPostProcessorJson;
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

/** How texts are cleaned, in `tokenizer.json`. */
export interface BertNormalizerJson {
  type: "BertNormalizer";
  clean_text: boolean;
  handle_chinese_chars: boolean;
  strip_accents: boolean;
  lowercase: boolean;
}

/** Which tokens, each with its id, frame a sequence, in `tokenizer.json`. */
export interface BertPostProcessorJson {
  type: "BertProcessing";
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
  options: Normalization,
): TokenizerJson {
  const ids = tokenIds(vocabulary);
  const { unk_token, cls_token, sep_token } = SPECIAL_TOKENS_MAP;
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: SPECIAL_TOKENS
      .map((token) => addedTokenJson(token, specialTokenId(ids, token)))
      .sort((one, other) => one.id - other.id),
    normalizer: normalizerJson(options),
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "BertProcessing",
      sep: [sep_token, specialTokenId(ids, sep_token)],
      cls: [cls_token, specialTokenId(ids, cls_token)],
    },
    decoder: { type: "WordPiece", prefix: CONTINUATION_PREFIX, cleanup: true },
    model: {
      type: "WordPiece",
      unk_token,
      continuing_subword_prefix: CONTINUATION_PREFIX,
      max_input_chars_per_word: MAX_WORD_CHARACTERS,
      vocab: Object.fromEntries(ids),
    },
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

/** How a BERT tokenizer cleans texts. */
export interface Normalization {
  lowercase: boolean;
  /** As with {@link lowercase} by default. */
  stripAccents?: boolean;
  /** Whether each Chinese character is a word of its own; so by default. */
  tokenizeChineseCharacters?: boolean;
}

/** How a BERT tokenizer cleans texts, as `tokenizer.json` says it. */
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
  options: Normalization & { modelMaxLength: number },
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
  };
}

/** The id of each token, which is its place in the vocabulary. */
export function tokenIds(vocabulary: readonly string[]): Map<string, number> {
  return new Map(vocabulary.map((token, id) => [token, id]));
}
