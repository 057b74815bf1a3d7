/**
 * A model before the first step of its pretraining.
 *
 * @module
 */
import { readLines } from "../../data/text_files.ts";
import { UserError } from "../../lib/user_error.ts";
import { readTokenizer } from "../../models/formats/classifier_folder.ts";
import { familyOf, isPoolerParameter, readConfig, wordEmbeddings } from "../../models/family.ts";
import type { ModelConfig } from "../../models/formats/config.ts";
import { scratchSizeOf } from "../../models/own_models.ts";
import { scratchConfig } from "../../models/scratch.ts";
import { type HubOptions, modelDir } from "../../models/hub.ts";
import type { SentenceEmbedder } from "../../models/inference/sentence_embedder.ts";
import { Tokenizer } from "../../models/text/tokenizer.ts";
import { readWeights } from "../../models/formats/weight_files.ts";
import { baseParameters } from "../../models/parameters.ts";
import { initialWeights, type Weights } from "../../models/weights.ts";
import { vocabularyOf, WordCounter } from "../../models/text/wordpiece.ts";
import type { ParameterShape } from "../../onnx/runtime/optimizer/adamw.ts";
import type { PretrainSettings } from "./settings.ts";
import { taughtEmbeddings } from "./taught_embeddings.ts";

/** A model to pretrain, before its weights are read. */
export interface MaskedModel {
  config: ModelConfig;
  tokenizer: Tokenizer;
  /** The folder of its weights; absent where they are random. */
  dir?: string;
}

/**
 * Prepares the model that the settings describe. A model that begins with random weights learns its
 * vocabulary from the texts.
 *
 * @throws {UserError} If it cannot be used.
 * @throws The signal's reason, if it aborts.
 */
export async function maskedModel(
  { model, vocabularySize }: Pick<PretrainSettings, "model" | "vocabularySize">,
  files: readonly string[],
  options: HubOptions,
): Promise<MaskedModel> {
  const size = scratchSizeOf(model);
  if (size !== undefined) {
    const counter = new WordCounter();
    for await (const text of readLines(files)) {
      options.signal?.throwIfAborted();
      counter.add(text);
    }
    const vocabulary = vocabularyOf(counter.counts, { vocabularySize });
    const config = scratchConfig(size, vocabulary.length, "maskedLanguage");
    const modelMaxLength = config.max_position_embeddings;
    return { config, tokenizer: Tokenizer.fromVocabulary(vocabulary, { modelMaxLength }) };
  }
  const dir = await modelDir(model, options);
  const stored = await readConfig(dir);
  const family = familyOf(stored);
  if (family.maskedLanguageHead === undefined) {
    throw new UserError(
      `Cannot pretrain '${model}': Graft pretrains no model of the family '${family.modelType}'`,
    );
  }
  return {
    config: { ...stored, architectures: [family.architectures.maskedLanguage] },
    tokenizer: await readTokenizer(dir, stored),
    dir,
  };
}

/** Options of {@link maskedModelWeights}. */
export interface MaskedModelWeightsOptions {
  seed: number;
  /** The teacher that gives random weights their word embeddings. */
  teacher?: SentenceEmbedder | undefined;
}

/**
 * Reads or draws the weights from which pretraining starts. Those of the encoder must be in the
 * folder, if there is one; those that predict masked tokens, or that only a teacher needs, are
 * drawn where they are missing. A base keeps its pooler even if that is not trained.
 *
 * @param trained The parameters that pretraining trains.
 * @throws {UserError} If the folder lacks weights of the encoder.
 */
export async function maskedModelWeights(
  { config, tokenizer, dir }: MaskedModel,
  trained: readonly ParameterShape[],
  { seed, teacher }: MaskedModelWeightsOptions,
): Promise<{ parameters: ParameterShape[]; weights: Weights }> {
  if (dir === undefined) {
    const weights = initialWeights(config, seed, trained);
    if (teacher !== undefined) {
      weights[wordEmbeddings(config)] = await taughtEmbeddings(teacher, tokenizer.tokens(), {
        size: familyOf(config).sizes(config).hidden_size,
        deviation: config.initializer_range,
        seed,
      });
    }
    return { parameters: [...trained], weights };
  }
  const isTrained = new Set(trained.map(({ name }) => name));
  const base = baseParameters(config);
  const others = base.filter(({ name }) => !isTrained.has(name));
  const found = await readWeights(dir, config, [...trained, ...others]);
  const missing = trained.filter(({ name }) => !(name in found));
  const needed = base.find(({ name }) =>
    isTrained.has(name) && !(name in found) && !isPoolerParameter(config, name)
  );
  if (needed !== undefined) {
    throw new UserError(`Cannot read '${dir}': its weights lack '${needed.name}'`);
  }
  return {
    parameters: [...trained, ...others.filter(({ name }) => name in found)],
    weights: { ...found, ...initialWeights(config, seed, missing) },
  };
}
