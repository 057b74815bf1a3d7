/**
 * BERT (Devlin et al., 2019), with the names and layouts of transformers'
 * `BertForSequenceClassification` and `BertForMaskedLM`.
 *
 * @module
 */
import { z } from "zod";
import { tanh } from "../../onnx/graph/operators.ts";
import type { Family } from "../family.ts";
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

/** The part of transformers' `BertConfig` that Graft uses; other keys are kept as they are. */
export const BertConfig = z.looseObject({ model_type: z.literal("bert"), ...BERT_SHAPE })
  .refine(headsFit, HEADS_RULE);

/** See the schema of the same name. */
export type BertConfig = z.infer<typeof BertConfig>;

/** See {@link Family}. */
export const bert: Family<BertConfig> = {
  modelType: "bert",
  config: BertConfig,
  architectures: { classifier: "BertForSequenceClassification", maskedLanguage: "BertForMaskedLM" },
  names: { ...encoderNames("bert"), pooler: "bert.pooler", output: "classifier" },
  tokenizers: ["BertTokenizer"],
  takesPrefix: true,
  defaults: { learningRate: 5e-5, epochs: 4 },

  sizes: sizesOf,
  positions: ({ max_position_embeddings }) => ({ first: 0, count: max_position_embeddings }),
  withDropout,

  encoder: (graph, options, wanted) =>
    bertEncoder(graph, { base: "bert", firstPosition: 0 }, options, wanted),
  pooler: () => ({ name: "bert.pooler.dense", dropout: 0, activation: tanh }),
  head: (config) => [{ name: "classifier", dropout: headDropout(config) }],
  maskedLanguageHead: {
    transform: (x, options) =>
      maskedLanguageTransform(x, {
        dense: "cls.predictions.transform.dense",
        norm: "cls.predictions.transform.LayerNorm",
        to: options.config.hidden_size,
      }, options),
    bias: "cls.predictions.bias",
  },
};
