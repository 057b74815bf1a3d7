/**
 * DeBERTa-v3 (He et al., 2023), transformers' model type `deberta-v2`, with the names and layouts of
 * `DebertaV2ForSequenceClassification` and `DebertaV2ForMaskedLM`.
 *
 * Attention is disentangled (He et al., 2021, "DeBERTa"): the score of two tokens is that of their
 * contents, plus those of each one's content with the distance of the other.
 *
 * @module
 */
import { z } from "zod";
import type { Graph, Tensor } from "../../onnx/graph/graph.ts";
import {
  add,
  gather,
  gelu,
  matMul,
  mul,
  reduceSum,
  relativeShift,
  reshape,
  transpose,
} from "../../onnx/graph/operators.ts";
import type { Dimension } from "../../onnx/graph/shape.ts";
import type { Family } from "../family.ts";
import { epsilon, layerCount, ModelConfig, probability, size, width } from "../formats/config.ts";
import {
  attentionBias,
  drop,
  embeddings,
  encodedLength,
  encoderLayers,
  type GraphOptions,
  linear,
  normalization,
  sharedParameters,
  splitHeads,
  textInputs,
  tokenTypeInput,
  type WantedTokens,
  weightedValues,
} from "../layers.ts";
import { distanceRows, firstDistanceRows } from "../relative_positions.ts";
import {
  afterAttention,
  encoderNames,
  HEADS_RULE,
  headsFit,
  maskedLanguageTransform,
  sizesOf,
} from "./bert_encoder.ts";

const { shape } = ModelConfig;

/** The parts of a score: tokens with tokens, tokens with distances, distances with tokens. */
const SCORE_PARTS = 3;

/**
 * The part of transformers' `DebertaV2Config` that Graft uses, as DeBERTa-v3 has it; other keys are
 * kept as they are. DeBERTa-v2's convolution is not supported.
 */
export const DebertaV2Config = z.looseObject({
  model_type: z.literal("deberta-v2"),
  vocab_size: shape.vocab_size,
  hidden_size: width,
  num_hidden_layers: layerCount,
  num_attention_heads: size,
  intermediate_size: width,
  max_position_embeddings: shape.max_position_embeddings,
  type_vocab_size: z.number().int().nonnegative().default(0),
  hidden_act: z.literal("gelu").default("gelu"),
  relative_attention: z.literal(true),
  position_buckets: width,
  max_relative_positions: z.number().int().default(-1),
  pos_att_type: z.preprocess(
    (value) => typeof value === "string" ? value.split("|") : value,
    z.array(z.enum(["c2p", "p2c"])).length(2),
  ),
  share_att_key: z.literal(true),
  norm_rel_ebd: z.literal("layer_norm"),
  position_biased_input: z.literal(false),
  conv_kernel_size: z.literal(0).default(0),
  hidden_dropout_prob: probability.default(0.1),
  attention_probs_dropout_prob: probability.default(0.1),
  pooler_dropout: probability.default(0),
  pooler_hidden_act: z.literal("gelu").default("gelu"),
  cls_dropout: probability.nullable().default(null),
  layer_norm_eps: epsilon.default(1e-7),
  initializer_range: shape.initializer_range,
  pad_token_id: shape.pad_token_id,
  id2label: shape.id2label,
  problem_type: shape.problem_type,
}).refine(headsFit, HEADS_RULE);

/** See the schema of the same name. */
export type DebertaV2Config = z.infer<typeof DebertaV2Config>;

/** See {@link Family}. */
export const debertaV2: Family<DebertaV2Config> = {
  modelType: "deberta-v2",
  config: DebertaV2Config,
  architectures: {
    classifier: "DebertaV2ForSequenceClassification",
    maskedLanguage: "DebertaV2ForMaskedLM",
  },
  names: {
    ...encoderNames("deberta"),
    pooler: "pooler",
    output: "classifier",
    attention: { query: "query_proj", key: "key_proj", value: "value_proj" },
  },
  tokenizers: ["DebertaV2Tokenizer"],
  takesPrefix: false,
  defaults: { learningRate: 2e-5, epochs: 4 },

  sizes: sizesOf,
  positions: ({ max_position_embeddings }) => ({ first: 0, count: max_position_embeddings }),
  withDropout: (config, dropout) => ({
    ...config,
    hidden_dropout_prob: dropout,
    attention_probs_dropout_prob: dropout,
    pooler_dropout: dropout,
    // With null the classifier has the dropout of the hidden layers.
    cls_dropout: null,
  }),

  encoder,
  pooler: ({ pooler_dropout }) => ({
    name: "pooler.dense",
    dropout: pooler_dropout,
    activation: gelu,
  }),
  head: ({ cls_dropout, hidden_dropout_prob }) => [
    { name: "classifier", dropout: cls_dropout ?? hidden_dropout_prob },
  ],
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

function encoder(
  graph: Graph,
  options: GraphOptions<DebertaV2Config>,
  wanted: WantedTokens,
): Tensor {
  const { config, parameter } = options;
  const { hidden_size, position_buckets, layer_norm_eps, type_vocab_size } = config;
  const { inputIds, attentionMask } = textInputs(graph);
  const mask = attentionBias(attentionMask, options);
  const name = "deberta.embeddings";
  const types = type_vocab_size === 0 ? undefined : {
    name: `${name}.token_type_embeddings`,
    rows: type_vocab_size,
    ids: type_vocab_size > 1 ? tokenTypeInput(graph) : undefined,
  };
  const embedded = embeddings(inputIds, {
    words: { name: `${name}.word_embeddings`, width: hidden_size },
    types,
  }, options);
  const normalized = normalization(embedded, `${name}.LayerNorm`, layer_norm_eps, options);
  const x = drop(normalized, config.hidden_dropout_prob, options);

  const table = parameter("deberta.encoder.rel_embeddings.weight", [
    2 * position_buckets,
    hidden_size,
  ]);
  const distances = normalization(table, "deberta.encoder.LayerNorm", layer_norm_eps, options);
  const length = encodedLength(options);
  const { count } = debertaV2.positions(config);
  const row = (distance: number) => distanceRow(distance, config);
  const rows: DistanceRows = {
    fromQuery: distanceRows(graph, length, count, row),
    fromKey: distanceRows(graph, length, count, (distance) => row(-distance)),
    fromFirst: firstDistanceRows(graph, length, count, row),
  };
  const layer = (x: Tensor, queries: Tensor, index: number) =>
    encoderLayer(x, queries, { mask, distances, rows, index }, options);
  return encoderLayers(x, { count: config.num_hidden_layers, wanted, layer }, options);
}

/** The rows of the table of distances, in the orders that the products need. */
interface DistanceRows {
  /** The rows of all keys, as a query sees them, `[2*length+1]`. */
  fromQuery: Tensor;
  /** The rows of all queries, as a key sees them, `[2*length+1]`. */
  fromKey: Tensor;
  /** The rows of all keys, as the first query sees them, `[length]`. */
  fromFirst: Tensor;
}

/** The tensors that all layers share. */
interface Shared {
  mask: Tensor;
  /** The embeddings of distances, `[2*buckets, hidden]`. */
  distances: Tensor;
  rows: DistanceRows;
  index: number;
}

function encoderLayer(
  x: Tensor,
  queries: Tensor,
  shared: Shared,
  options: GraphOptions<DebertaV2Config>,
): Tensor {
  const name = `deberta.encoder.layer.${shared.index}`;
  // The same parameters project tokens and distances.
  const once = sharedParameters(options);
  const context = disentangledAttention(x, queries, `${name}.attention.self`, shared, once);
  return afterAttention(context, queries, name, once);
}

function disentangledAttention(
  x: Tensor,
  queries: Tensor,
  name: string,
  { mask, distances, rows }: Shared,
  options: GraphOptions<DebertaV2Config>,
): Tensor {
  const { config } = options;
  const { hidden_size, num_attention_heads: heads } = config;
  const length = encodedLength(options);
  const project = (x: Tensor, layer: string) => linear(x, `${name}.${layer}`, hidden_size, options);
  const isFirstOnly = queries !== x;
  const query = splitHeads(project(queries, "query_proj"), isFirstOnly ? 1 : length, heads);
  const key = splitHeads(project(x, "key_proj"), length, heads);
  const value = splitHeads(project(x, "value_proj"), length, heads);
  const dropped = drop(distances, config.hidden_dropout_prob, options);
  const [distanceKeys, distanceQueries] = [
    project(dropped, "key_proj"),
    project(dropped, "query_proj"),
  ];
  /** `[heads, rows, headSize]`, with the batch in front for a table `[rows, batch, hidden]` */
  const byHead = (table: Tensor, rows: Tensor) => {
    const [count] = rows.shape as [Dimension];
    const found = gather(table, rows);
    const headSize = hidden_size / heads;
    return table.shape.length === 2
      ? transpose(reshape(found, [count, heads, headSize]), [1, 0, 2])
      : transpose(reshape(found, [count, "batch", heads, headSize]), [1, 2, 0, 3]);
  };
  const content = matMul(query, key, { transposeB: true });
  let toDistances: Tensor;
  let fromDistances: Tensor;
  if (isFirstOnly) {
    toDistances = matMul(query, byHead(distanceKeys, rows.fromFirst), { transposeB: true });
    const products = mul(key, byHead(distanceQueries, rows.fromFirst));
    fromDistances = reshape(reduceSum(products, [3]), ["batch", heads, 1, length]);
  } else {
    const [keys, queries] = [
      byHead(distanceKeys, rows.fromQuery),
      byHead(distanceQueries, rows.fromKey),
    ];
    toDistances = relativeShift(matMul(query, keys, { transposeB: true }));
    fromDistances = transpose(
      relativeShift(matMul(key, queries, { transposeB: true })),
      [0, 1, 3, 2],
    );
  }
  const scale = 1 / Math.sqrt(SCORE_PARTS * hidden_size / heads);
  const scores = add(mul(add(add(content, toDistances), fromDistances), scale), mask);
  return weightedValues(scores, value, config.attention_probs_dropout_prob, options);
}

/**
 * The row of the table for a distance: one for each short distance, then one for ever longer
 * ranges, in PyTorch's float32 arithmetic.
 */
function distanceRow(
  distance: number,
  { position_buckets, max_relative_positions, max_position_embeddings }: DebertaV2Config,
): number {
  const longest = max_relative_positions < 1 ? max_position_embeddings : max_relative_positions;
  const middle = Math.floor(position_buckets / 2);
  const away = Math.abs(distance);
  let bucket = away;
  if (away > middle) {
    const share = Math.fround(
      Math.fround(Math.log(Math.fround(away / middle))) /
        Math.fround(Math.log(Math.fround((longest - 1) / middle))),
    );
    bucket = Math.ceil(Math.fround(share * (middle - 1))) + middle;
  }
  const row = Math.sign(distance) * bucket + position_buckets;
  return Math.min(Math.max(row, 0), 2 * position_buckets - 1);
}
