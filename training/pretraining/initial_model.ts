/**
 * A model before the first step of its pretraining.
 *
 * @module
 */
import { readLines } from "../../data/text_files.ts";
import { UserError } from "../../data/user_error.ts";
import { readTokenizer } from "../../models/classifier.ts";
import { type BertConfig, readConfig, scratchConfig, scratchSizeOf } from "../../models/config.ts";
import { type HubOptions, modelDir } from "../../models/hub.ts";
import { BertTokenizer } from "../../models/tokenizer.ts";
import { readWeights } from "../../models/weight_files.ts";
import { initialWeights, type Weights } from "../../models/weights.ts";
import { vocabularyOf, WordCounter } from "../../models/wordpiece.ts";
import type { ParameterShape } from "../../onnx/adamw.ts";
import type { PretrainSettings } from "./settings.ts";

/** What is pretrained, before its weights are read. */
export interface MaskedModel {
  config: BertConfig;
  tokenizer: BertTokenizer;
  /** The folder of its weights; absent where they are random. */
  dir?: string;
}

/**
 * The model that the settings describe; one that begins with random weights learns its vocabulary
 * from the texts.
 *
 * @throws {UserError} If it cannot be used.
 * @throws What the signal says, if it aborts.
 */
export async function maskedModel(
  { model, vocabularySize }: Pick<PretrainSettings, "model" | "vocabularySize">,
  files: readonly string[],
  options: HubOptions & { signal?: AbortSignal | undefined },
): Promise<MaskedModel> {
  const size = scratchSizeOf(model);
  if (size !== undefined) {
    const counter = new WordCounter();
    for await (const text of readLines(files)) {
      options.signal?.throwIfAborted();
      counter.add(text);
    }
    const vocabulary = learnedVocabulary(counter.counts, vocabularySize);
    const config = scratchConfig(size, vocabulary.length, "BertForMaskedLM");
    const modelMaxLength = config.max_position_embeddings;
    return { config, tokenizer: BertTokenizer.fromVocabulary(vocabulary, { modelMaxLength }) };
  }
  const dir = await modelDir(model, options);
  const stored = await readConfig(dir);
  return {
    config: { ...stored, architectures: ["BertForMaskedLM"] },
    tokenizer: await readTokenizer(dir, stored),
    dir,
  };
}

function learnedVocabulary(counts: ReadonlyMap<string, number>, vocabularySize: number): string[] {
  try {
    return vocabularyOf(counts, { vocabularySize });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new UserError(`Cannot use --vocabulary-size ${vocabularySize}: ${error.message}`);
  }
}

/**
 * The weights from which pretraining starts. Those of the encoder must be in the folder, if there is
 * one; what predicts masked tokens, or what only a teacher needs, is drawn where it is missing.
 *
 * @throws {UserError} If the folder lacks weights of the encoder.
 */
export async function maskedModelWeights(
  { config, dir }: MaskedModel,
  parameters: readonly ParameterShape[],
  seed: number,
): Promise<Weights> {
  if (dir === undefined) return initialWeights(config, seed, parameters);
  const found = await readWeights(dir, parameters);
  const missing = parameters.filter(({ name }) => !(name in found));
  const needed = missing.find(({ name }) =>
    name.startsWith("bert.") && !name.startsWith("bert.pooler.")
  );
  if (needed !== undefined) {
    throw new UserError(`Cannot read '${dir}': its weights lack '${needed.name}'`);
  }
  return { ...found, ...initialWeights(config, seed, missing) };
}
