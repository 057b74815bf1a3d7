/**
 * A tokenizer and its files.
 *
 * @module
 */
import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import { join } from "node:path";
import { z } from "zod";
import { exists, readJson } from "../../lib/files.ts";
import {
  MIN_LENGTH,
  type Normalization,
  SPECIAL_TOKENS_MAP,
  type TokenizerConfig,
  tokenizerConfig,
  type TokenizerJson,
  tokenizerJson,
} from "../formats/tokenizer_files.ts";

const TokenizerFields = z.looseObject({
  model: z.looseObject({ vocab: z.record(z.string(), z.number()) }),
  added_tokens: z.array(z.unknown()),
});
const ConfigFields = z.looseObject({ model_max_length: z.number().min(MIN_LENGTH).optional() });

/** What transformers' `BertTokenizer` assumes where its configuration says nothing. */
const OldConfig = z.looseObject({
  tokenizer_class: z.enum(["BertTokenizer", "BertTokenizerFast"]).default("BertTokenizer"),
  do_lower_case: z.boolean().default(true),
  strip_accents: z.boolean().nullable().default(null),
  tokenize_chinese_chars: z.boolean().default(true),
  model_max_length: z.number().min(MIN_LENGTH).default(512),
});

/** The files are kept as they are; the tokenizers library looks at the other fields. */
const TokenizerFile = z.custom<TokenizerJson>(
  (value) => TokenizerFields.safeParse(value).success,
  "it does not describe a WordPiece tokenizer",
);
const TokenizerConfigFile = z.custom<Partial<TokenizerConfig>>(
  (value) => ConfigFields.safeParse(value).success,
  `its model_max_length must be a number of at least ${MIN_LENGTH}`,
);

/** The `model_max_length` of a tokenizer that has none, as transformers has it. */
const NO_MAX_LENGTH = 1e30;

/** Only the length is sure to be there. */
type LoadedConfig = Partial<TokenizerConfig> & Pick<TokenizerConfig, "model_max_length">;

/** Settings of {@link Tokenizer.fromVocabulary}. */
export interface VocabularyOptions {
  /** The most tokens that a text is encoded to, `[CLS]` and `[SEP]` included. */
  modelMaxLength: number;
  /** How texts are cleaned; lower-cased and without accents by default. */
  normalization?: Normalization;
}

/** A text, or a pair of texts, as token ids. */
export interface Encoding {
  /** With `[CLS]` in front and `[SEP]` at the end of each text. */
  ids: number[];
  /** Where the second text of a pair begins. */
  secondStart?: number;
  /** Whether the text was longer than allowed and lost its end. */
  truncated: boolean;
}

/** Few texts have longer tokens on average. */
const CHARACTERS_PER_TOKEN = 16;

/** Turns texts into token ids. */
export class Tokenizer {
  readonly #tokenizer: LibraryTokenizer;
  readonly #json: TokenizerJson;
  readonly #config: LoadedConfig;

  private constructor(
    json: TokenizerJson,
    config: LoadedConfig,
    tokenizer = new LibraryTokenizer(json, config),
  ) {
    this.#tokenizer = tokenizer;
    this.#json = json;
    this.#config = config;
  }

  /**
   * The tokenizer over a vocabulary.
   *
   * @param vocabulary The tokens in id order.
   * @throws {UserError} If the vocabulary lacks one of BERT's special tokens.
   */
  static fromVocabulary(
    vocabulary: readonly string[],
    { modelMaxLength, normalization = { lowercase: true } }: VocabularyOptions,
  ): Tokenizer {
    return new Tokenizer(
      tokenizerJson(vocabulary, normalization),
      tokenizerConfig({ ...normalization, modelMaxLength }),
    );
  }

  /**
   * Reads `tokenizer.json` and `tokenizer_config.json` from a model's folder, or, as older folders
   * have it, `vocab.txt` and what `tokenizer_config.json` says of cleaning and length.
   *
   * @throws {UserError} If one of them is not such a file.
   */
  static async load(dir: string): Promise<Tokenizer> {
    const configFile = join(dir, "tokenizer_config.json");
    const vocabularyFile = join(dir, "vocab.txt");
    const tokenizerFile = join(dir, "tokenizer.json");
    if (await exists(tokenizerFile) || !await exists(vocabularyFile)) {
      const json = await readJson(tokenizerFile, TokenizerFile);
      const config = await exists(configFile)
        ? await readJson(configFile, TokenizerConfigFile)
        : {};
      return new Tokenizer(json, {
        ...config,
        model_max_length: config.model_max_length ?? NO_MAX_LENGTH,
      });
    }
    const vocabulary = (await Deno.readTextFile(vocabularyFile)).trimEnd().split(/\r?\n/);
    const config = await exists(configFile)
      ? await readJson(configFile, OldConfig)
      : OldConfig.parse({});
    return Tokenizer.fromVocabulary(vocabulary, {
      normalization: {
        lowercase: config.do_lower_case,
        stripAccents: config.strip_accents ?? config.do_lower_case,
        tokenizeChineseCharacters: config.tokenize_chinese_chars,
      },
      modelMaxLength: config.model_max_length,
    });
  }

  /**
   * Encodes a text, cutting it to the tokenizer's `model_max_length`, of which `[CLS]` and `[SEP]`
   * are two.
   */
  encode(text: string): Encoding {
    const { maxLength } = this;
    const ids = this.#startOf(text);
    if (ids.length <= maxLength) return { ids, truncated: false };
    return { ids: [...ids.slice(0, maxLength - 1), ids.at(-1)!], truncated: true };
  }

  /** The ids of a whole text, however long it is, `[CLS]` and `[SEP]` included. */
  encodeWhole(text: string): number[] {
    return this.#tokenizer.encode(text).ids;
  }

  /** How many tokens a text has before it is cut, `[CLS]` and `[SEP]` included. */
  countTokens(text: string): number {
    return this.encodeWhole(text).length;
  }

  /** Encodes a pair of texts, cutting the end of the longer one while they are too long together. */
  encodePair(first: string, second: string): Encoding {
    const [ids, secondIds] = [this.#startOf(first), this.#startOf(second)];
    const separator = ids.pop()!;
    // Without `[CLS]` and `[SEP]`.
    const rest = secondIds.slice(1, -1);
    const most = this.maxLength - 2;
    const truncated = ids.length + rest.length > most;
    while (ids.length + rest.length > most) (ids.length - 1 > rest.length ? ids : rest).pop();
    const secondStart = ids.length + 1;
    return { ids: [...ids, separator, ...rest, separator], secondStart, truncated };
  }

  /** How many of these tokens stand for something that the vocabulary does not have. */
  countUnknown(ids: readonly number[]): number {
    const unknown = this.#json.model.vocab[this.#config.unk_token ?? SPECIAL_TOKENS_MAP.unk_token];
    return ids.reduce((sum, id) => sum + Number(id === unknown), 0);
  }

  /** The most tokens that a text is encoded to, `[CLS]` and `[SEP]` included. */
  get maxLength(): number {
    return this.#config.model_max_length;
  }

  /** The tokens by their ids; an id that no token has is left out. */
  tokens(): string[] {
    const tokens: string[] = [];
    for (const [token, id] of Object.entries(this.#json.model.vocab)) tokens[id] = token;
    return tokens;
  }

  /** How many tokens there are. */
  get vocabularySize(): number {
    return Object.values(this.#json.model.vocab).reduce((a, b) => Math.max(a, b)) + 1;
  }

  /** The same tokenizer, cutting texts to `maxLength` tokens unless it cuts them earlier. */
  withMaxLength(maxLength: number): Tokenizer {
    const { model_max_length } = this.#config;
    const config = { ...this.#config, model_max_length: Math.min(maxLength, model_max_length) };
    // The length is no matter of the library's: texts are cut here.
    return new Tokenizer(this.#json, config, this.#tokenizer);
  }

  /**
   * The tokens of a text, or of its first words where these are too many already: the rest of a long
   * text would cost much time for nothing.
   */
  #startOf(text: string): number[] {
    for (let size = CHARACTERS_PER_TOKEN * this.maxLength; size < text.length; size *= 4) {
      // A space belongs to no token, so that what stands before it has the same tokens alone.
      const end = Math.max(...[" ", "\n", "\t"].map((space) => text.lastIndexOf(space, size)));
      if (end < 0) break;
      const { ids } = this.#tokenizer.encode(text.slice(0, end));
      if (ids.length > this.maxLength) return ids;
    }
    return this.#tokenizer.encode(text).ids;
  }

  /** The tokenizer's files by name, as transformers and tokenizers read them. */
  files(): Record<string, string> {
    const json = (value: unknown) => JSON.stringify(value, null, 2) + "\n";
    const { vocab } = this.#json.model;
    const inOrder = Object.entries(vocab).sort(([, a], [, b]) => a - b);
    return {
      "tokenizer.json": json(this.#json),
      "tokenizer_config.json": json(this.#config),
      "special_tokens_map.json": json(SPECIAL_TOKENS_MAP),
      "vocab.txt": inOrder.map(([token]) => token + "\n").join(""),
    };
  }
}
