/**
 * DistilBERT (Sanh et al., 2019), with the names and layouts of transformers'
 * `DistilBertForSequenceClassification` and `DistilBertForMaskedLM`.
 *
 * @module
 */
import { z } from "zod";
import type { Graph, Tensor } from "../../onnx/graph/graph.ts";
import { add, gelu, relu } from "../../onnx/graph/operators.ts";
import type { Family } from "../family.ts";
import { layerCount, ModelConfig, probability, size, width } from "../formats/config.ts";
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
  type WantedTokens,
} from "../layers.ts";

const { shape } = ModelConfig;

const EPSILON = 1e-12;

/** The part of transformers' `DistilBertConfig` that Graft uses; other keys are kept as they are. */
export const DistilBertConfig = z.looseObject({
  model_type: z.literal("distilbert"),
  vocab_size: shape.vocab_size,
  dim: width,
  n_layers: layerCount,
  n_heads: size,
  hidden_dim: width,
  max_position_embeddings: shape.max_position_embeddings,
  activation: z.literal("gelu").default("gelu"),
  dropout: probability.default(0.1),
  attention_dropout: probability.default(0.1),
  seq_classif_dropout: probability.default(0.2),
  initializer_range: shape.initializer_range,
  pad_token_id: shape.pad_token_id,
  id2label: shape.id2label,
  problem_type: shape.problem_type,
}).refine(({ dim, n_heads }) => dim % n_heads === 0, {
  path: ["n_heads"],
  message: "must divide dim",
});

/** See the schema of the same name. */
export type DistilBertConfig = z.infer<typeof DistilBertConfig>;

/** See {@link Family}. */
export const distilbert: Family<DistilBertConfig> = {
  modelType: "distilbert",
  config: DistilBertConfig,
  architectures: {
    classifier: "DistilBertForSequenceClassification",
    maskedLanguage: "DistilBertForMaskedLM",
  },
  names: {
    base: "distilbert",
    layers: "distilbert.transformer.layer.",
    words: "distilbert.embeddings.word_embeddings",
    output: "classifier",
    attention: { query: "q_lin", key: "k_lin", value: "v_lin" },
  },
  tokenizers: ["DistilBertTokenizer", "BertTokenizer"],
  takesPrefix: false,
  defaults: { learningRate: 5e-5, epochs: 4 },

  sizes: ({ dim, n_layers, n_heads }) => ({
    hidden_size: dim,
    num_hidden_layers: n_layers,
    num_attention_heads: n_heads,
  }),
  positions: ({ max_position_embeddings }) => ({ first: 0, count: max_position_embeddings }),
  withDropout: (config, dropout) => ({
    ...config,
    dropout,
    attention_dropout: dropout,
    seq_classif_dropout: dropout,
  }),

  encoder,
  head: ({ seq_classif_dropout }) => [
    { name: "pre_classifier", dropout: 0, activation: relu },
    { name: "classifier", dropout: seq_classif_dropout },
  ],
  maskedLanguageHead: {
    transform: (x, options) => {
      const inner = gelu(linear(x, "vocab_transform", options.config.dim, options));
      return normalization(inner, "vocab_layer_norm", EPSILON, options);
    },
    bias: "vocab_projector.bias",
  },
};

function encoder(
  graph: Graph,
  options: GraphOptions<DistilBertConfig>,
  wanted: WantedTokens,
): Tensor {
  const { config } = options;
  const { inputIds, attentionMask } = textInputs(graph);
  const bias = attentionBias(attentionMask, options);
  const name = "distilbert.embeddings";
  const embedded = embeddings(inputIds, {
    words: { name: `${name}.word_embeddings`, width: config.dim },
    positions: {
      name: `${name}.position_embeddings`,
      rows: config.max_position_embeddings,
      first: 0,
    },
  }, options);
  const normalized = normalization(embedded, `${name}.LayerNorm`, EPSILON, options);
  const x = drop(normalized, config.dropout, options);
  const layer = (x: Tensor, queries: Tensor, index: number) =>
    encoderLayer(x, queries, bias, index, options);
  return encoderLayers(x, { count: config.n_layers, wanted, layer }, options);
}

function encoderLayer(
  x: Tensor,
  queries: Tensor,
  bias: Tensor,
  index: number,
  options: GraphOptions<DistilBertConfig>,
): Tensor {
  const { config } = options;
  const name = `distilbert.transformer.layer.${index}`;
  const context = attention(x, queries, {
    query: `${name}.attention.q_lin`,
    key: `${name}.attention.k_lin`,
    value: `${name}.attention.v_lin`,
    heads: config.n_heads,
    layer: index,
    bias,
    dropout: config.attention_dropout,
    prefixDropout: config.dropout,
  }, options);
  const projected = linear(context, `${name}.attention.out_lin`, config.dim, options);
  const attended = normalization(
    add(projected, queries),
    `${name}.sa_layer_norm`,
    EPSILON,
    options,
  );
  const output = feedForward(attended, {
    inner: `${name}.ffn.lin1`,
    output: `${name}.ffn.lin2`,
    size: config.hidden_dim,
  }, options);
  return normalization(
    add(drop(output, config.dropout, options), attended),
    `${name}.output_layer_norm`,
    EPSILON,
    options,
  );
}
