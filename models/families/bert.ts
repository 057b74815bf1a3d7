/**
 * BERT (Devlin et al., 2019), with the names and layouts of transformers'
 * `BertForSequenceClassification` and `BertForMaskedLM`.
 *
 * @module
 */
import { z } from "zod";
import type { Graph, Tensor } from "../../onnx/graph/graph.ts";
import { add, gelu, tanh } from "../../onnx/graph/operators.ts";
import type { Family } from "../family.ts";
import { ModelConfig, probability, size } from "../formats/config.ts";
import {
  attention,
  attentionBias,
  drop,
  embeddings,
  encoderLayers,
  feedForward,
  type GraphOptions,
  linear,
  normalization,
  textInputs,
  tokenTypeInput,
  type WantedTokens,
} from "../layers.ts";

const { shape } = ModelConfig;

/** The part of transformers' `BertConfig` that Graft uses; other keys are kept as they are. */
export const BertConfig = z.looseObject({
  model_type: z.literal("bert"),
  vocab_size: shape.vocab_size,
  hidden_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  intermediate_size: size,
  max_position_embeddings: shape.max_position_embeddings,
  type_vocab_size: size.default(2),
  hidden_act: z.literal("gelu").default("gelu"),
  position_embedding_type: z.literal("absolute").default("absolute"),
  hidden_dropout_prob: probability.default(0.1),
  attention_probs_dropout_prob: probability.default(0.1),
  classifier_dropout: probability.nullable().default(null),
  layer_norm_eps: z.number().positive().default(1e-12),
  initializer_range: shape.initializer_range,
  pad_token_id: shape.pad_token_id,
  id2label: shape.id2label,
  problem_type: shape.problem_type,
}).refine(
  (config) => config.hidden_size % config.num_attention_heads === 0,
  { path: ["num_attention_heads"], message: "must divide hidden_size" },
);

/** See the schema of the same name. */
export type BertConfig = z.infer<typeof BertConfig>;

/** See {@link Family}. */
export const bert: Family<BertConfig> = {
  modelType: "bert",
  config: BertConfig,
  architectures: { classifier: "BertForSequenceClassification", maskedLanguage: "BertForMaskedLM" },
  names: {
    base: "bert",
    layers: "bert.encoder.layer.",
    words: "bert.embeddings.word_embeddings",
    pooler: "bert.pooler.",
    output: "classifier",
    attention: { query: "query", key: "key", value: "value" },
  },
  tokenizers: ["BertTokenizer"],
  defaults: { learningRate: 5e-5, epochs: 4 },

  sizes: ({ hidden_size, num_hidden_layers, num_attention_heads }) => ({
    hidden_size,
    num_hidden_layers,
    num_attention_heads,
  }),
  positions: ({ max_position_embeddings }) => ({ first: 0, count: max_position_embeddings }),
  withDropout: (config, dropout) => ({
    ...config,
    hidden_dropout_prob: dropout,
    attention_probs_dropout_prob: dropout,
    // Where it is null the classifier's is that of the hidden layers.
    classifier_dropout: null,
  }),

  encoder,
  pooler: (x, options) => tanh(linear(x, "bert.pooler.dense", options.config.hidden_size, options)),
  head: ({ classifier_dropout, hidden_dropout_prob }) => [
    { name: "classifier", dropout: classifier_dropout ?? hidden_dropout_prob },
  ],
  maskedLanguageHead: {
    transform: (x, options) => {
      const name = "cls.predictions.transform";
      const { hidden_size, layer_norm_eps } = options.config;
      const inner = gelu(linear(x, `${name}.dense`, hidden_size, options));
      return normalization(inner, `${name}.LayerNorm`, layer_norm_eps, options);
    },
    bias: "cls.predictions.bias",
  },
};

function encoder(graph: Graph, options: GraphOptions<BertConfig>, wanted: WantedTokens): Tensor {
  const { config } = options;
  const { num_hidden_layers, hidden_dropout_prob, layer_norm_eps } = config;
  const { inputIds, attentionMask } = textInputs(graph);
  const tokenTypeIds = tokenTypeInput(graph);
  const bias = attentionBias(attentionMask, options);
  const name = "bert.embeddings";
  const embedded = embeddings(inputIds, {
    words: { name: `${name}.word_embeddings`, width: config.hidden_size },
    types: {
      name: `${name}.token_type_embeddings`,
      rows: config.type_vocab_size,
      ids: tokenTypeIds,
    },
    positions: {
      name: `${name}.position_embeddings`,
      rows: config.max_position_embeddings,
      first: 0,
    },
  }, options);
  const normalized = normalization(embedded, `${name}.LayerNorm`, layer_norm_eps, options);
  const x = drop(normalized, hidden_dropout_prob, options);
  const layer = (x: Tensor, queries: Tensor, index: number) =>
    encoderLayer(x, queries, bias, index, options);
  return encoderLayers(x, { count: num_hidden_layers, wanted, layer }, options);
}

function encoderLayer(
  x: Tensor,
  queries: Tensor,
  bias: Tensor,
  index: number,
  options: GraphOptions<BertConfig>,
): Tensor {
  const { config } = options;
  const { hidden_size, hidden_dropout_prob, layer_norm_eps } = config;
  const name = `bert.encoder.layer.${index}`;
  /** A residual connection around what a part of the layer gives. */
  const residual = (output: Tensor, input: Tensor, part: string) =>
    normalization(
      add(drop(output, hidden_dropout_prob, options), input),
      `${part}.output.LayerNorm`,
      layer_norm_eps,
      options,
    );
  const context = attention(x, queries, {
    query: `${name}.attention.self.query`,
    key: `${name}.attention.self.key`,
    value: `${name}.attention.self.value`,
    heads: config.num_attention_heads,
    layer: index,
    bias,
    dropout: config.attention_probs_dropout_prob,
    prefixDropout: hidden_dropout_prob,
  }, options);
  const projected = linear(context, `${name}.attention.output.dense`, hidden_size, options);
  const attended = residual(projected, queries, `${name}.attention`);
  const output = feedForward(attended, {
    inner: `${name}.intermediate.dense`,
    output: `${name}.output.dense`,
    size: config.intermediate_size,
  }, options);
  return residual(output, attended, name);
}
