/**
 * ELECTRA (Clark et al., 2020), with the names and layouts of transformers'
 * `ElectraForSequenceClassification` and `ElectraForMaskedLM`.
 *
 * @module
 */
import { z } from "zod";
import { gelu } from "../../onnx/graph/operators.ts";
import type { Family } from "../family.ts";
import { width } from "../formats/config.ts";
import {
  BERT_SHAPE,
  bertEncoder,
  encoderNames,
  headDropout,
  HEADS_RULE,
  headsFit,
  maskedLanguageTransform,
  sizesOf,
  withDropout,
} from "./bert_encoder.ts";

/** The part of transformers' `ElectraConfig` that Graft uses; other keys are kept as they are. */
export const ElectraConfig = z.looseObject({
  model_type: z.literal("electra"),
  ...BERT_SHAPE,
  embedding_size: width.default(128),
}).refine(headsFit, HEADS_RULE);

/** See the schema of the same name. */
export type ElectraConfig = z.infer<typeof ElectraConfig>;

/** See {@link Family}. */
export const electra: Family<ElectraConfig> = {
  modelType: "electra",
  config: ElectraConfig,
  architectures: {
    classifier: "ElectraForSequenceClassification",
    maskedLanguage: "ElectraForMaskedLM",
  },
  names: { ...encoderNames("electra"), output: "classifier.out_proj" },
  tokenizers: ["ElectraTokenizer", "BertTokenizer"],
  takesPrefix: true,
  defaults: { learningRate: 5e-5, epochs: 4 },

  sizes: (config) => ({ ...sizesOf(config), embedding_size: config.embedding_size }),
  positions: ({ max_position_embeddings }) => ({ first: 0, count: max_position_embeddings }),
  withDropout,

  encoder: (graph, options, wanted) => {
    const embeddingSize = options.config.embedding_size;
    return bertEncoder(
      graph,
      { base: "electra", firstPosition: 0, embeddingSize },
      options,
      wanted,
    );
  },
  head: (config) => [
    { name: "classifier.dense", dropout: headDropout(config), activation: gelu },
    { name: "classifier.out_proj", dropout: headDropout(config) },
  ],
  maskedLanguageHead: {
    transform: (x, options) =>
      maskedLanguageTransform(x, {
        dense: "generator_predictions.dense",
        norm: "generator_predictions.LayerNorm",
        to: options.config.embedding_size,
      }, options),
    bias: "generator_lm_head.bias",
  },
};
