/**
 * A BERT tokenizer and its files.
 *
 * @module
 */
import { Tokenizer } from "@huggingface/tokenizers";
import { join } from "node:path";
import {
  SPECIAL_TOKENS_MAP,
  type TokenizerConfig,
  tokenizerConfig,
  type TokenizerJson,
  tokenizerJson,
} from "./tokenizer_files.ts";

/** A text as token ids. */
export interface Encoding {
  /** With `[CLS]` in front and `[SEP]` at the end. */
  ids: number[];
  /** Whether the text was longer than allowed and lost its end. */
  truncated: boolean;
}

/** Turns texts into token ids. */
export class BertTokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #json: TokenizerJson;
  readonly #config: TokenizerConfig;

  private constructor(json: TokenizerJson, config: TokenizerConfig) {
    this.#tokenizer = new Tokenizer(json, config);
    this.#json = json;
    this.#config = config;
  }

  /**
   * The tokenizer over a vocabulary that was learned from lower-cased texts.
   *
   * @param vocabulary The tokens in id order.
   * @param modelMaxLength The most tokens that the model takes at once.
   */
  static fromVocabulary(vocabulary: readonly string[], modelMaxLength: number): BertTokenizer {
    const lowercase = true;
    return new BertTokenizer(
      tokenizerJson(vocabulary, { lowercase }),
      tokenizerConfig({ lowercase, modelMaxLength }),
    );
  }

  /** Reads `tokenizer.json` and `tokenizer_config.json` from a model's folder. */
  static async load(dir: string): Promise<BertTokenizer> {
    const read = async (file: string) => JSON.parse(await Deno.readTextFile(join(dir, file)));
    return new BertTokenizer(await read("tokenizer.json"), await read("tokenizer_config.json"));
  }

  /** How many tokens there are. */
  get vocabularySize(): number {
    return Object.keys(this.#json.model.vocab).length;
  }

  /** Encodes a text, cutting it to `maxLength` tokens, of which `[CLS]` and `[SEP]` are two. */
  encode(text: string, maxLength: number): Encoding {
    const { ids } = this.#tokenizer.encode(text);
    if (ids.length <= maxLength) return { ids, truncated: false };
    return { ids: [...ids.slice(0, maxLength - 1), ids.at(-1)!], truncated: true };
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
