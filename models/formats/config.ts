/**
 * A model's `config.json`, as transformers writes it, and the part of it that all families share;
 * keys keep transformers' names.
 *
 * @module
 */
import { z } from "zod";
import { type Problem, PROBLEM_TYPES } from "../../data/labels.ts";
import { MIN_LENGTH } from "./tokenizer_files.ts";

/** The file that describes a model, in its folder. */
export const CONFIG_FILE = "config.json";

/** A number of things, 1 or more. */
export const size = z.number().int().positive();

/**
 * The number of layers. Weights are compared with a graph's parameters, and the graph is made
 * first: the limit keeps it small, whatever a file says.
 */
export const layerCount = size.max(1000);

/** The width of a layer, which is limited as {@link layerCount} is. */
export const width = size.max(2 ** 16);

/**
 * The constant that layer normalisation adds to the variance; in float32 it is neither 0 nor
 * infinite.
 */
export const epsilon = z.number().min(1e-30).max(1);

/** The probability of a dropout. */
export const probability = z.number().min(0).lt(1);

const Label = z.union([z.string(), z.number(), z.boolean()]).nullable();

/** The names of classes, which transformers also takes as numbers, in a list, or not at all. */
const Labels = z.union([z.array(Label), z.record(z.string(), Label)]).nullable().default(null)
  .transform((labels): Record<string, string> =>
    Object.fromEntries(
      Object.entries(labels ?? [null, null])
        .map(([id, label]) => [id, String(label ?? `LABEL_${id}`)]),
    )
  )
  .refine(
    (labels) => Object.keys(labels).every((_, id) => String(id) in labels),
    "must name the classes 0, 1, 2, …",
  );

/**
 * The calibration of a classifier's logits, by label: the trained logits times scale plus bias.
 * With one class per text all scales are one over the temperature. The head's weights include it.
 */
const Calibration = z.object({
  scales: z.array(z.number().positive()),
  biases: z.array(z.number()),
});

/** See the schema of the same name. */
export type Calibration = z.infer<typeof Calibration>;

/** The part of `config.json` that all families have; other keys are kept as they are. */
export const ModelConfig = z.looseObject({
  model_type: z.string(),
  vocab_size: size,
  max_position_embeddings: size.min(MIN_LENGTH).max(2 ** 20),
  initializer_range: z.number().positive().default(0.02),
  pad_token_id: z.number().int().nonnegative().default(0),
  id2label: Labels,
  problem_type: z.enum(PROBLEM_TYPES).nullable().default(null),
  // Graft's own keys: a key of the same name from elsewhere has another meaning.
  calibration: Calibration.optional().catch(undefined),
  /** The lowest score at which each class counts as predicted, where a text may have several. */
  thresholds: z.array(z.number()).optional().catch(undefined),
});

/** See the schema of the same name. */
export type ModelConfig = z.infer<typeof ModelConfig>;

/** The names of the classes in the order of the logits. */
export function labelsOf(config: ModelConfig): string[] {
  return Object.keys(config.id2label)
    .map(Number)
    .sort((a, b) => a - b)
    .map((id) => config.id2label[id]!);
}

/**
 * The meaning of the logits; if the configuration does not say, that of transformers' pipeline.
 */
export function problemOf(config: ModelConfig): Problem {
  const labels = labelsOf(config);
  const assumed = labels.length === 1
    ? "multi_label_classification"
    : "single_label_classification";
  return {
    problemType: config.problem_type ?? assumed,
    labels,
    ...config.thresholds?.length === labels.length && { thresholds: config.thresholds },
  };
}

/** The calibration of a classifier's head, if it has one. */
export function calibrationOf(config: ModelConfig): Calibration | undefined {
  const { calibration } = config;
  const count = labelsOf(config).length;
  const fits = calibration?.scales.length === count && calibration.biases.length === count;
  return fits ? calibration : undefined;
}
