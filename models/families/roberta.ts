/**
 * RoBERTa (Liu et al., 2019), XLM-RoBERTa (Conneau et al., 2020) and CamemBERT (Martin et al.,
 * 2020), with the names and layouts of transformers. They differ only in their vocabularies.
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

function robertaFamily<ModelType extends string>(
  modelType: ModelType,
  { prefix, tokenizer }: { prefix: string; tokenizer: string },
) {
  const Config = z.looseObject({
    model_type: z.literal(modelType),
    ...BERT_SHAPE,
    // The default of transformers' RobertaConfig.
    pad_token_id: BERT_SHAPE.pad_token_id.unwrap().default(1),
  }).refine(headsFit, HEADS_RULE);
  /** The row of a text's first token, which follows that of padding. */
  const firstPosition = (config: { pad_token_id: number }) => config.pad_token_id + 1;
  const family: Family<z.infer<typeof Config>> = {
    modelType,
    config: Config,
    architectures: {
      classifier: `${prefix}ForSequenceClassification`,
      maskedLanguage: `${prefix}ForMaskedLM`,
    },
    names: { ...encoderNames("roberta"), output: "classifier.out_proj" },
    tokenizers: [tokenizer],
    takesPrefix: true,
    defaults: { learningRate: 2e-5, epochs: 4 },

    sizes: sizesOf,
    positions: (config) => ({
      first: firstPosition(config),
      count: config.max_position_embeddings - firstPosition(config),
    }),
    withDropout,

    encoder: (graph, options, wanted) => {
      const place = { base: "roberta", firstPosition: firstPosition(options.config) };
      return bertEncoder(graph, place, options, wanted);
    },
    head: (config) => [
      { name: "classifier.dense", dropout: headDropout(config), activation: tanh },
      { name: "classifier.out_proj", dropout: headDropout(config) },
    ],
    maskedLanguageHead: {
      transform: (x, options) =>
        maskedLanguageTransform(x, {
          dense: "lm_head.dense",
          norm: "lm_head.layer_norm",
          to: options.config.hidden_size,
        }, options),
      bias: "lm_head.bias",
    },
  };
  return family;
}

/** See {@link Family}. */
export const roberta = robertaFamily("roberta", {
  prefix: "Roberta",
  tokenizer: "RobertaTokenizer",
});

/** See {@link Family}. */
export const xlmRoberta = robertaFamily("xlm-roberta", {
  prefix: "XLMRoberta",
  tokenizer: "XLMRobertaTokenizer",
});

/** See {@link Family}. */
export const camembert = robertaFamily("camembert", {
  prefix: "Camembert",
  tokenizer: "CamembertTokenizer",
});
