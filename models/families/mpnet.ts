/**
 * MPNet (Song et al., 2020), with the names and layouts of transformers'
 * `MPNetForSequenceClassification` and `MPNetForMaskedLM`.
 *
 * @module
 */
import { z } from "zod";
import type { Graph, Tensor } from "../../onnx/graph/graph.ts";
import {
  add,
  expand,
  gather,
  relativeShift,
  reshape,
  slice,
  tanh,
  transpose,
} from "../../onnx/graph/operators.ts";
import { sum } from "../../onnx/graph/shape.ts";
import type { Family } from "../family.ts";
import { epsilon, layerCount, ModelConfig, probability, size, width } from "../formats/config.ts";
import {
  attention,
  attentionBias,
  drop,
  embeddings,
  encodedLength,
  encoderLayers,
  feedForward,
  type GraphOptions,
  linear,
  normalization,
  textInputs,
  type WantedTokens,
} from "../layers.ts";
import { distanceRows } from "../relative_positions.ts";
import { HEADS_RULE, headsFit, maskedLanguageTransform, sizesOf } from "./bert_encoder.ts";

const { shape } = ModelConfig;

/** The number of buckets that transformers uses, whatever the configuration says. */
const BUCKETS = 32;
/** The distance from which on all share a bucket. */
const LONGEST_DISTANCE = 128;
/** The row of a text's first token; it follows that of padding, which is fixed. */
const FIRST_POSITION = 2;

/** The part of transformers' `MPNetConfig` that Graft uses; other keys are kept as they are. */
export const MPNetConfig = z.looseObject({
  model_type: z.literal("mpnet"),
  vocab_size: shape.vocab_size,
  hidden_size: width,
  num_hidden_layers: layerCount,
  num_attention_heads: size,
  intermediate_size: width,
  max_position_embeddings: shape.max_position_embeddings,
  relative_attention_num_buckets: z.literal(BUCKETS).default(BUCKETS),
  hidden_act: z.literal("gelu").default("gelu"),
  hidden_dropout_prob: probability.default(0.1),
  attention_probs_dropout_prob: probability.default(0.1),
  layer_norm_eps: epsilon.default(1e-12),
  initializer_range: shape.initializer_range,
  pad_token_id: shape.pad_token_id.unwrap().default(1),
  id2label: shape.id2label,
  problem_type: shape.problem_type,
}).refine(headsFit, HEADS_RULE);

/** See the schema of the same name. */
export type MPNetConfig = z.infer<typeof MPNetConfig>;

/** See {@link Family}. */
export const mpnet: Family<MPNetConfig> = {
  modelType: "mpnet",
  config: MPNetConfig,
  architectures: {
    classifier: "MPNetForSequenceClassification",
    maskedLanguage: "MPNetForMaskedLM",
  },
  names: {
    base: "mpnet",
    layers: "mpnet.encoder.layer.",
    words: "mpnet.embeddings.word_embeddings",
    output: "classifier.out_proj",
    attention: { query: "q", key: "k", value: "v" },
  },
  tokenizers: ["MPNetTokenizer"],
  takesPrefix: false,
  defaults: { learningRate: 5e-5, epochs: 4 },

  sizes: sizesOf,
  positions: ({ max_position_embeddings }) => ({
    first: FIRST_POSITION,
    count: max_position_embeddings - FIRST_POSITION,
  }),
  withDropout: (config, dropout) => ({
    ...config,
    hidden_dropout_prob: dropout,
    attention_probs_dropout_prob: dropout,
  }),

  encoder,
  head: ({ hidden_dropout_prob: dropout }) => [
    { name: "classifier.dense", dropout, activation: tanh },
    { name: "classifier.out_proj", dropout },
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

function encoder(graph: Graph, options: GraphOptions<MPNetConfig>, wanted: WantedTokens): Tensor {
  const { config } = options;
  const { inputIds, attentionMask } = textInputs(graph);
  const positionBias = relativeBias(graph, options);
  const mask = attentionBias(attentionMask, options);
  const bias = add(positionBias, mask);
  const name = "mpnet.embeddings";
  const embedded = embeddings(inputIds, {
    words: { name: `${name}.word_embeddings`, width: config.hidden_size },
    positions: {
      name: `${name}.position_embeddings`,
      rows: config.max_position_embeddings,
      first: FIRST_POSITION,
    },
  }, options);
  const normalized = normalization(embedded, `${name}.LayerNorm`, config.layer_norm_eps, options);
  const x = drop(normalized, config.hidden_dropout_prob, options);
  const layer = (x: Tensor, queries: Tensor, index: number) =>
    encoderLayer(x, queries, queries === x ? bias : slice(bias, 2, 0, 1), index, options);
  return encoderLayers(x, { count: config.num_hidden_layers, wanted, layer }, options);
}

/** The bias of two tokens' score by their distance, `[1, heads, length, length]`. */
function relativeBias(graph: Graph, options: GraphOptions<MPNetConfig>): Tensor {
  const { config, parameter } = options;
  const heads = config.num_attention_heads;
  const length = encodedLength(options);
  const { count } = mpnet.positions(config);
  const table = parameter("mpnet.encoder.relative_attention_bias.weight", [BUCKETS, heads]);
  const byDistance = gather(table, distanceRows(graph, length, count, bucketOf));
  const width = sum([length, length, 1]);
  const rows = expand(reshape(transpose(byDistance, [1, 0]), [heads, 1, width]), [
    heads,
    length,
    width,
  ]);
  return reshape(relativeShift(rows), [1, heads, length, length]);
}

/**
 * The bucket of a distance (Raffel et al., 2020, "T5"): one for each short distance, then one for
 * ever longer ranges, in PyTorch's float32 arithmetic.
 */
function bucketOf(distance: number): number {
  const half = BUCKETS / 2;
  const exact = half / 2;
  const offset = distance < 0 ? half : 0;
  const away = Math.abs(distance);
  if (away < exact) return offset + away;
  const share = Math.fround(
    Math.fround(Math.log(away / exact)) / Math.fround(Math.log(LONGEST_DISTANCE / exact)),
  );
  const bucket = exact + Math.trunc(Math.fround(share * (half - exact)));
  return offset + Math.min(bucket, half - 1);
}

function encoderLayer(
  x: Tensor,
  queries: Tensor,
  bias: Tensor,
  index: number,
  options: GraphOptions<MPNetConfig>,
): Tensor {
  const { config } = options;
  const { hidden_size, hidden_dropout_prob, layer_norm_eps } = config;
  const name = `mpnet.encoder.layer.${index}`;
  const residual = (output: Tensor, input: Tensor, norm: string) =>
    normalization(
      add(drop(output, hidden_dropout_prob, options), input),
      norm,
      layer_norm_eps,
      options,
    );
  const context = attention(x, queries, {
    query: `${name}.attention.attn.q`,
    key: `${name}.attention.attn.k`,
    value: `${name}.attention.attn.v`,
    heads: config.num_attention_heads,
    layer: index,
    bias,
    dropout: config.attention_probs_dropout_prob,
    prefixDropout: hidden_dropout_prob,
  }, options);
  const projected = linear(context, `${name}.attention.attn.o`, hidden_size, options);
  const attended = residual(projected, queries, `${name}.attention.LayerNorm`);
  const output = feedForward(attended, {
    inner: `${name}.intermediate.dense`,
    output: `${name}.output.dense`,
    size: config.intermediate_size,
  }, options);
  return residual(output, attended, `${name}.output.LayerNorm`);
}
