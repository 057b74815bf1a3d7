/**
 * A model before its first step, by what is trained of it.
 *
 * @module
 */
import { join } from "node:path";
import { exists } from "../lib/files.ts";
import { UserError } from "../lib/user_error.ts";
import {
  adaptedTokenizer,
  type Adapter,
  ADAPTER_WEIGHTS_FILE,
  baseOf,
  checkBase,
  checkPositions,
  readAdapter,
} from "../models/formats/adapter.ts";
import { readWeights } from "../models/formats/weight_files.ts";
import { type Classifier, loadClassifier } from "../models/formats/classifier.ts";
import { familyOf } from "../models/family.ts";
import { type ModelConfig, scratchSizeOf } from "../models/formats/config.ts";
import { type HubOptions, modelDir } from "../models/hub.ts";
import { pretrainedClassifier } from "../models/pretrained.ts";
import {
  EMBEDDING,
  initialPromptEncoder,
  type PromptEncoder,
  virtualTokenSize,
} from "../models/prompt_encoder.ts";
import { decodeSafetensors } from "../models/formats/safetensors.ts";
import { scratchClassifier } from "../models/scratch.ts";
import { parameterShapes, type Weights, wordEmbeddings } from "../models/weights.ts";
import { Random } from "../lib/random.ts";
import type { TrainSettings } from "./settings.ts";

/** What is trained where the base stays as it is. */
export type Tuning = Pick<Adapter, "base" | "encoder" | "maxLength">;

/** A classifier that is ready to be trained, and what a user should know of how it was made. */
export interface InitialModel extends Classifier {
  /** Present where the base is frozen. */
  tuning?: Tuning;
  notes: string[];
}

/**
 * Makes the model that the settings describe.
 *
 * @param texts What the vocabulary of a model from random weights is learned from.
 * @throws {UserError} If the base cannot be used.
 */
export async function initialModel(
  settings: TrainSettings,
  labels: readonly string[],
  texts: readonly string[],
  options: HubOptions,
): Promise<InitialModel> {
  const { mode, model, seed, maxLength } = settings;
  const size = scratchSizeOf(model);
  if (size !== undefined) {
    return { notes: [], ...scratchClassifier(size, texts, labels, { seed, maxLength }) };
  }
  const dir = await modelDir(model, options);
  if (mode === "full") return await pretrainedClassifier(dir, labels, { seed, maxLength });

  const classifier = await pretrainedClassifier(dir, labels, { seed, maxLength, frozen: true });
  const encoder = promptEncoder(settings);
  const { config, tokenizer, weights } = classifier;
  checkPositions(encoder, config, `--prefix-length and --max-length with '${model}'`, maxLength);
  return {
    ...classifier,
    tokenizer: adaptedTokenizer({ encoder, maxLength }, tokenizer, config),
    weights: { ...weights, ...await initialTokens(settings, encoder, config, weights) },
    tuning: { base: await baseOf(model), encoder, maxLength },
  };
}

/**
 * The model of a checkpoint.
 *
 * @throws {UserError} If it is damaged, or the base has changed since.
 */
export async function resumedModel(
  checkpoint: string,
  settings: TrainSettings,
  labels: readonly string[],
  options: HubOptions,
): Promise<InitialModel> {
  if (settings.mode === "full") return { notes: [], ...await loadClassifier(checkpoint) };
  // Where the virtual tokens started no longer matters, and a file of theirs may be gone.
  const { initFrom: _, ...rest } = settings;
  const model = await initialModel(rest, labels, [], options);
  await checkBase(await readAdapter(checkpoint), await modelDir(settings.model, options));
  const trained = await readWeights(
    checkpoint,
    model.config,
    parameterShapes(model.config, model.tuning!.encoder),
  );
  return { ...model, notes: [], weights: { ...model.weights, ...trained } };
}

function promptEncoder(
  { mode, prefixLength, prefixProjection, prefixHiddenSize }: TrainSettings,
): PromptEncoder {
  return {
    peft_type: mode === "prompt" ? "PROMPT_TUNING" : "PREFIX_TUNING",
    num_virtual_tokens: prefixLength,
    prefix_projection: prefixProjection,
    encoder_hidden_size: prefixHiddenSize,
  };
}

/** The virtual tokens from which training starts, or what they are projected from. */
async function initialTokens(
  { mode, seed, initFrom = mode === "prompt" ? "vocab" : "random" }: TrainSettings,
  encoder: PromptEncoder,
  config: ModelConfig,
  weights: Weights,
): Promise<Weights> {
  switch (initFrom) {
    case "random":
      return initialPromptEncoder(encoder, config, seed);
    case "vocab":
      return { [EMBEDDING]: randomWords(encoder, config, weights, seed) };
    default:
      return { [EMBEDDING]: await storedTokens(initFrom, encoder, config) };
  }
}

/** Embeddings of words that are drawn from the vocabulary, as PEFT's `SAMPLE_VOCAB` does. */
function randomWords(
  { num_virtual_tokens }: PromptEncoder,
  config: ModelConfig,
  weights: Weights,
  seed: number,
): Float32Array {
  const random = new Random(seed, 1);
  const words = weights[wordEmbeddings(config)]!;
  const { hidden_size } = familyOf(config).sizes(config);
  const tokens = new Float32Array(num_virtual_tokens * hidden_size);
  for (let token = 0; token < num_virtual_tokens; token++) {
    const word = random.integer(config.vocab_size);
    tokens.set(
      words.subarray(word * hidden_size, (word + 1) * hidden_size),
      token * hidden_size,
    );
  }
  return tokens;
}

/** The virtual tokens of another adapter. */
async function storedTokens(
  path: string,
  { peft_type, num_virtual_tokens }: PromptEncoder,
  config: ModelConfig,
): Promise<Float32Array> {
  const inFolder = join(path, ADAPTER_WEIGHTS_FILE);
  const file = await exists(inFolder) ? inFolder : path;
  if (!await exists(file)) throw new UserError(`Cannot use --init-from ${path}: no such file`);
  const { tensors } = decodeSafetensors(await Deno.readFile(file), file);
  const tensor = tensors.get("prompt_embeddings");
  const shape = [num_virtual_tokens, virtualTokenSize(peft_type, familyOf(config).sizes(config))];
  if (tensor?.data instanceof Float32Array && String(tensor.shape) === String(shape)) {
    return tensor.data;
  }
  throw new UserError(
    `Cannot use --init-from ${path}: its 'prompt_embeddings' must be floating-point [${shape}], ` +
      (tensor === undefined ? "there are none" : `got [${tensor.shape}]`),
  );
}
