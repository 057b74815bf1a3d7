/**
 * A model's `config.json`, as transformers writes it for BERT; keys keep transformers' names.
 *
 * @module
 */
import { join } from "node:path";
import { z } from "zod";
import { exists, readJson } from "../../lib/files.ts";
import { type Problem, PROBLEM_TYPES } from "../../data/labels.ts";
import { UserError } from "../../lib/user_error.ts";
import { MIN_LENGTH } from "./tokenizer_files.ts";

/** The file that describes a model, in its folder. */
export const CONFIG_FILE = "config.json";

const size = z.number().int().positive();
const probability = z.number().min(0).lt(1);

/** The part of transformers' `BertConfig` that Graft uses; other keys are kept as they are. */
export const BertConfig = z.looseObject({
  model_type: z.literal("bert"),
  vocab_size: size,
  hidden_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  intermediate_size: size,
  max_position_embeddings: size.min(MIN_LENGTH),
  type_vocab_size: size.default(2),
  hidden_act: z.literal("gelu").default("gelu"),
  position_embedding_type: z.literal("absolute").default("absolute"),
  hidden_dropout_prob: probability.default(0.1),
  attention_probs_dropout_prob: probability.default(0.1),
  classifier_dropout: probability.nullable().default(null),
  layer_norm_eps: z.number().positive().default(1e-12),
  initializer_range: z.number().positive().default(0.02),
  pad_token_id: z.number().int().nonnegative().default(0),
  id2label: z.record(z.string(), z.string())
    .refine(
      (labels) => Object.keys(labels).every((_, id) => String(id) in labels),
      "must name the classes 0, 1, 2, …",
    )
    .default({ 0: "LABEL_0", 1: "LABEL_1" }),
  problem_type: z.enum(PROBLEM_TYPES).nullable().default(null),
}).refine(
  (config) => config.hidden_size % config.num_attention_heads === 0,
  { path: ["num_attention_heads"], message: "must divide hidden_size" },
);

/** See the schema of the same name. */
export type BertConfig = z.infer<typeof BertConfig>;

/** The sizes that can be trained from random weights, by the name in `scratch:NAME`. */
export const SCRATCH_SIZES = {
  tiny: { layers: 2, hidden: 128, heads: 2 },
  mini: { layers: 4, hidden: 256, heads: 4 },
  small: { layers: 4, hidden: 512, heads: 8 },
} as const;

/** A name in {@link SCRATCH_SIZES}. */
export type ScratchSize = keyof typeof SCRATCH_SIZES;

/** The names of the models that begin with random weights. */
export const SCRATCH_MODELS = ["scratch:tiny", "scratch:mini", "scratch:small"] as const;

/** The name of the pretrained base that comes with Graft, in `models/bundled/`. */
export const BUNDLED_MODEL = "bundled";

/** The names of the models that come with Graft, the default first. */
export const OWN_MODELS: readonly string[] = [BUNDLED_MODEL, ...SCRATCH_MODELS];

/** `scratch:tiny` -> `tiny`; `undefined` for a model that does not begin with random weights. */
export function scratchSizeOf(model: string): ScratchSize | undefined {
  return SCRATCH_MODELS.some((name) => name === model)
    ? model.slice("scratch:".length) as ScratchSize
    : undefined;
}

/** The configuration of a model that is trained from random weights. */
export function scratchConfig(
  size: ScratchSize,
  vocabularySize: number,
  architecture: "BertForSequenceClassification" | "BertForMaskedLM",
): BertConfig {
  const { layers, hidden, heads } = SCRATCH_SIZES[size];
  return BertConfig.parse({
    architectures: [architecture],
    model_type: "bert",
    vocab_size: vocabularySize,
    hidden_size: hidden,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    intermediate_size: 4 * hidden,
    max_position_embeddings: 512,
    // BERT's 0.02 at 768 wide, scaled so that a product's result keeps its size.
    initializer_range: 0.02 * Math.sqrt(768 / hidden),
  });
}

/** The configuration with these class names; class `i` is `labels[i]`. */
export function withLabels(config: BertConfig, labels: readonly string[]): BertConfig {
  return {
    ...config,
    architectures: ["BertForSequenceClassification"],
    id2label: Object.fromEntries(labels.map((label, id) => [String(id), label])),
    label2id: Object.fromEntries(labels.map((label, id) => [label, id])),
  };
}

/** The configuration with one dropout probability everywhere. */
export function withDropout(config: BertConfig, dropout: number): BertConfig {
  return {
    ...config,
    hidden_dropout_prob: dropout,
    attention_probs_dropout_prob: dropout,
    // Where it is null the classifier's is that of the hidden layers.
    classifier_dropout: null,
  };
}

/** The names of the classes in the order of the logits. */
export function labelsOf(config: BertConfig): string[] {
  return Object.keys(config.id2label)
    .map(Number)
    .sort((a, b) => a - b)
    .map((id) => config.id2label[id]!);
}

/** What the logits tell; where the configuration does not say, as transformers' pipeline takes them. */
export function problemOf(config: BertConfig): Problem {
  const labels = labelsOf(config);
  const assumed = labels.length === 1
    ? "multi_label_classification"
    : "single_label_classification";
  return { problemType: config.problem_type ?? assumed, labels };
}

/**
 * Reads a model's `config.json`.
 *
 * @throws {UserError} If there is none, or it is not of a BERT that Graft can use.
 */
export async function readConfig(dir: string): Promise<BertConfig> {
  const file = join(dir, CONFIG_FILE);
  if (!await exists(file)) {
    throw new UserError(`Cannot read a model from '${dir}': it holds no ${CONFIG_FILE}`);
  }
  return await readJson(file, BertConfig);
}
