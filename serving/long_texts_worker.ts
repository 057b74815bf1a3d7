/**
 * The Worker behind `long_texts.ts`, which cuts texts into tokens away from the thread that
 * answers.
 *
 * @module
 */
import * as Comlink from "comlink";
import { describeClassifier } from "../models/formats/classifier_folder.ts";
import { problemOf } from "../models/formats/config.ts";
import { type TokenizedText, tokenizedText } from "../models/text/words.ts";
import { TRUNCATE } from "../models/text/long_texts.ts";
import { type EncodedText, encodeText } from "../models/inference/inference.ts";
import { loadPartner, type PooledPartner } from "../models/partner/partner_file.ts";
import type { Encoding, Tokenizer } from "../models/text/tokenizer.ts";

/** The most models that are kept. */
const MAX_MODELS = 4;

/** Tokenizers and partners by the model's folder and version, the most recently used last. */
const models = new Map<string, { tokenizer: Tokenizer; partner: PooledPartner | undefined }>();

async function modelOf(dir: string, key: string) {
  const known = models.get(key);
  const { config, tokenizer } = known === undefined
    ? await describeClassifier(dir)
    : { config: undefined, tokenizer: known.tokenizer };
  const model = known ??
    { tokenizer, partner: await loadPartner(dir, problemOf(config!).labels.length) };
  models.delete(key);
  models.set(key, model);
  const [oldest] = models.keys();
  if (models.size > MAX_MODELS) models.delete(oldest!);
  return model;
}

/** The functions of the Worker that `long_texts.ts` calls. */
export const workerApi = {
  /** Loads the tokenizer and partner of the model of a folder. */
  async load(dir: string, version: number): Promise<void> {
    await modelOf(dir, `${version} ${dir}`);
  },

  /** Encodes a text, or a pair, as the model of a folder takes it. */
  async encode(
    dir: string,
    version: number,
    maxLength: number,
    text: string,
    pair?: string,
  ): Promise<(Encoding & EncodedText)[]> {
    const { tokenizer, partner } = await modelOf(dir, `${version} ${dir}`);
    return encodeText(tokenizer.withMaxLength(maxLength), partner, text, pair);
  },

  /** Cuts a text into tokens and words, as an `Explainer` takes it. */
  async tokenize(dir: string, version: number, text: string): Promise<TokenizedText> {
    const { tokenizer } = await modelOf(dir, `${version} ${dir}`);
    return tokenizedText(tokenizer.withLongTexts(TRUNCATE), text);
  },
};

Comlink.expose(workerApi);
