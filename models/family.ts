/**
 * Families of encoders. A family is a `model_type` of transformers: how its `config.json` is read,
 * how its encoder is computed, and the names of its parameters. Each has a file in `families/`, and
 * no other file knows the peculiarities of one.
 *
 * @module
 */
import { join } from "node:path";
import { z } from "zod";
import { checkJson, exists, readJson } from "../lib/files.ts";
import { UserError } from "../lib/user_error.ts";
import type { Graph, Tensor } from "../onnx/graph/graph.ts";
import { bert } from "./families/bert.ts";
import { debertaV2 } from "./families/deberta_v2.ts";
import { distilbert } from "./families/distilbert.ts";
import { electra } from "./families/electra.ts";
import { modernbert } from "./families/modernbert.ts";
import { mpnet } from "./families/mpnet.ts";
import { camembert, roberta, xlmRoberta } from "./families/roberta.ts";
import { ADAPTER_CONFIG_FILE } from "./formats/adapter_files.ts";
import { CONFIG_FILE, type ModelConfig } from "./formats/config.ts";
import { checkLinks } from "./formats/model_folder.ts";
import type { GraphOptions, WantedTokens } from "./layers.ts";

/** The sizes of an encoder, under transformers' most common names. */
export interface EncoderSizes {
  hidden_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  /** The width of the embeddings of words, if it differs from the layers'. */
  embedding_size?: number;
}

/** A linear layer between an encoder and the logits of a classifier. */
export interface HeadLayer {
  /** The name of its parameters, `NAME.weight` and `NAME.bias`. */
  name: string;
  /** The dropout of its input. */
  dropout: number;
  /** Whether it has a bias; it has one by default. */
  bias?: boolean;
  /** The function that its result goes through; none after the last layer. */
  activation?: (x: Tensor) => Tensor;
  /** The normalisation behind that, with the name of its parameters. */
  norm?: { name: string; epsilon: number; bias: boolean };
}

/** The head that predicts masked tokens, with the table of word embeddings as its decoder. */
export interface MaskedLanguageHead<Config extends ModelConfig> {
  /** Computes the input of the decoder: `[masked, hidden]` -> `[masked, width of a word]`. */
  transform(x: Tensor, options: GraphOptions<Config>): Tensor;
  /** The name of the bias of the decoder, `[vocab_size]`. */
  bias: string;
}

/** The names that transformers gives to the parts of a family's models. */
export interface FamilyNames {
  /** The name of the encoder in a model with a head, transformers' `base_model_prefix`: `bert`. */
  base: string;
  /** The start of the names of all parameters in the encoder's layers. */
  layers: string;
  /** The name of the table of word embeddings, without `.weight`. */
  words: string;
  /** The name of the module whose parameters {@link Family.pooler} uses: `bert.pooler`. */
  pooler?: string;
  /** The last layer of a classifier's head, which gives the logits. */
  output: string;
  /** The last part of the names of the layers that make queries, keys and values. */
  attention: { query: string; key: string; value: string };
}

/**
 * A family of encoders.
 *
 * Methods get a configuration that {@link Family.config} has parsed. They append to graphs with the
 * functions of `layers.ts`, which handle virtual tokens, mixed rows and dropout.
 */
export interface Family<Config extends ModelConfig = ModelConfig> {
  /** `model_type` in `config.json`. */
  readonly modelType: string;
  /** The schema of `config.json`, with transformers' defaults; other keys are kept as they are. */
  readonly config: z.ZodType<Config>;
  /** The classes of transformers for `architectures` in `config.json`. */
  readonly architectures: { classifier: string; maskedLanguage?: string };
  readonly names: FamilyNames;
  /** The family's tokenizer classes in transformers, without the `Fast` that some end in. */
  readonly tokenizers: readonly string[];
  /**
   * Whether keys and values can stand before a text, as PEFT's prefix-tuning needs: only some
   * families of transformers have a place for them.
   */
  readonly takesPrefix: boolean;
  /** The defaults for fine-tuning of all weights. */
  readonly defaults: { learningRate: number; epochs: number };

  sizes(config: Config): EncoderSizes;
  /**
   * The row of the table of positions for a text's first token, and the most tokens that a text may
   * have. A family without such a table begins at 0.
   */
  positions(config: Config): { first: number; count: number };
  /** The configuration with one dropout probability everywhere. */
  withDropout(config: Config, dropout: number): Config;

  /**
   * Appends the encoder, and the inputs that it takes, int64 `[batch, length]`: `input_ids`,
   * `attention_mask` and, if the family has them, `token_type_ids`.
   *
   * @returns The output of the last layer: `[batch, hidden]` for first tokens,
   * `[batch*length, hidden]`, text by text, for all.
   */
  encoder(graph: Graph, options: GraphOptions<Config>, wanted: WantedTokens): Tensor;
  /**
   * The tokens by which a text is classified: its first one, which is the default, or the mean of
   * all.
   */
  pooling?(config: Config): "first" | "mean";
  /**
   * A layer of the base between the encoder and the head, `[batch, hidden]` -> `[batch, hidden]`.
   * Not all bases of its family have its weights.
   */
  pooler?(config: Config): HeadLayer;
  /**
   * The layers of the classifier's head, which are also trained on a frozen base. The last gives
   * the logits, each of the others a vector as long as its input.
   */
  head(config: Config): readonly HeadLayer[];
  /** The head for pretraining; absent if Graft cannot pretrain the family. */
  readonly maskedLanguageHead?: MaskedLanguageHead<Config>;
  /** Names under which older checkpoints hold a parameter. */
  olderNames?(name: string): string[];
}

/** All families. */
export const FAMILIES: readonly Family[] = [
  bert,
  roberta,
  xlmRoberta,
  camembert,
  distilbert,
  mpnet,
  electra,
  debertaV2,
  modernbert,
];

/** The family that has read a configuration. */
export function familyOf({ model_type }: Pick<ModelConfig, "model_type">): Family {
  return FAMILIES.find(({ modelType }) => modelType === model_type)!;
}

const TypedConfig = z.looseObject({
  model_type: z.string("must name the family of the model; there is none"),
  is_decoder: z.boolean().optional(),
});

/** A sentence that says what a folder holds in place of a model, and what to do. */
async function whatInstead(dir: string): Promise<string> {
  if (await exists(join(dir, ADAPTER_CONFIG_FILE))) {
    return ", but an adapter; name its base instead";
  }
  // sentence-transformers puts each part of a model into a folder, older versions even the first.
  const isFolder = (await Deno.stat(dir).catch(() => undefined))?.isDirectory;
  const names = isFolder ? (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name) : [];
  for (const name of names) {
    if (!name.startsWith("0_") || !await exists(join(dir, name, CONFIG_FILE))) continue;
    return `; it is a folder of sentence-transformers, whose model is in '${
      join(dir, name)
    }': name that`;
  }
  return "";
}

/**
 * Reads a model's `config.json`.
 *
 * @param hasLinks Whether links are looked for; not where it is known that there are none.
 * @throws {UserError} If there is none, its family is unknown to Graft, or a link leads out of the
 * folder.
 */
export async function readConfig(
  dir: string,
  { hasLinks = true }: { hasLinks?: boolean } = {},
): Promise<ModelConfig> {
  if (hasLinks) await checkLinks(dir);
  const file = join(dir, CONFIG_FILE);
  const config = await readJson(file, TypedConfig).catch(async (error) => {
    if (await exists(file)) throw error;
    if (!await exists(dir)) {
      throw new UserError(`Cannot read a model from '${dir}': there is no such folder`);
    }
    throw new UserError(
      `Cannot read a model from '${dir}': it holds no ${CONFIG_FILE}${await whatInstead(dir)}`,
    );
  });
  const { model_type: modelType } = config;
  const family = FAMILIES.find((family) => family.modelType === modelType);
  if (family !== undefined && config.is_decoder) {
    throw new UserError(`Cannot read '${file}': 'is_decoder' is true, and Graft tunes encoders`);
  }
  if (family !== undefined) {
    const known = checkJson(file, config, family.config);
    if (known.pad_token_id < known.vocab_size) return known;
    throw new UserError(
      `Cannot read '${file}': 'pad_token_id' must be below 'vocab_size', ${known.vocab_size}, got ` +
        `${known.pad_token_id}`,
    );
  }
  const known = FAMILIES.map(({ modelType }) => modelType).join(", ");
  throw new UserError(
    `Cannot read '${file}': 'model_type' must be one of ${known}, got '${modelType}'; Graft ` +
      "tunes encoders of these families",
  );
}

/** The width that the families' rates are meant for. */
const BASE_WIDTH = 768;
/** The highest rate by width. */
const MAX_RATE = 5e-4;

/**
 * The defaults for fine-tuning all weights of a model. A model narrower than {@link BASE_WIDTH}
 * takes a higher rate than its family's, by the square of the width: 2e-4 at 384 if it is 5e-5 at
 * 768.
 */
export function tuningDefaults(config: ModelConfig): Family["defaults"] {
  const family = familyOf(config);
  const { learningRate, epochs } = family.defaults;
  const narrowness = Math.max(1, BASE_WIDTH / family.sizes(config).hidden_size);
  return { learningRate: Math.min(MAX_RATE, learningRate * narrowness ** 2), epochs };
}

/** The configuration of a classifier with these class names; class `i` is `labels[i]`. */
export function withLabels<Config extends ModelConfig>(
  config: Config,
  labels: readonly string[],
): Config {
  const labelled = {
    ...config,
    architectures: [familyOf(config).architectures.classifier],
    id2label: Object.fromEntries(labels.map((label, id) => [String(id), label])),
    label2id: Object.fromEntries(labels.map((label, id) => [label, id])),
  };
  // The calibration was that of other classes.
  delete labelled.calibration;
  delete labelled.thresholds;
  return labelled;
}

/** The names that checkpoints have used for a parameter, the present one first. */
export function spellings(config: ModelConfig, name: string): string[] {
  const { names, olderNames } = familyOf(config);
  // The parameters of a model without a head do not begin with the base's name.
  const alone = (name: string) =>
    name.startsWith(`${names.base}.`) ? name.slice(names.base.length + 1) : name;
  const all = [name, ...olderNames?.(name) ?? []];
  // Checkpoints that were converted from TensorFlow.
  const converted = (name: string) =>
    name.replace(/LayerNorm\.weight$/, "LayerNorm.gamma")
      .replace(/LayerNorm\.bias$/, "LayerNorm.beta");
  return [
    ...new Set(all.flatMap((name) => [name, alone(name), converted(name), converted(alone(name))])),
  ];
}

/** Whether a parameter belongs to a classifier's head. */
export function isHeadParameter(config: ModelConfig, name: string): boolean {
  return familyOf(config).head(config).some((layer) => name.startsWith(`${layer.name}.`));
}

/** Whether a parameter belongs to the part of a base between its encoder and the head. */
export function isPoolerParameter(config: ModelConfig, name: string): boolean {
  const { pooler } = familyOf(config).names;
  return pooler !== undefined && name.startsWith(`${pooler}.`);
}

/** The name of the table of word embeddings. */
export function wordEmbeddings(config: ModelConfig): string {
  return `${familyOf(config).names.words}.weight`;
}
