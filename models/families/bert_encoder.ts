/**
 * The encoder of BERT (Devlin et al., 2019), also of RoBERTa and ELECTRA under other names.
 *
 * @module
 */
import { z } from "zod";
import type { Graph, Tensor } from "../../onnx/graph/graph.ts";
import { add, gelu } from "../../onnx/graph/operators.ts";
import type { EncoderSizes, FamilyNames } from "../family.ts";
import { epsilon, layerCount, ModelConfig, probability, size, width } from "../formats/config.ts";
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

/** The common part of these families' configurations, to be spread into their schemas. */
export const BERT_SHAPE = {
  vocab_size: shape.vocab_size,
  hidden_size: width,
  num_hidden_layers: layerCount,
  num_attention_heads: size,
  intermediate_size: width,
  max_position_embeddings: shape.max_position_embeddings,
  type_vocab_size: size.default(2),
  hidden_act: z.literal("gelu").default("gelu"),
  position_embedding_type: z.literal("absolute").default("absolute"),
  hidden_dropout_prob: probability.default(0.1),
  attention_probs_dropout_prob: probability.default(0.1),
  classifier_dropout: probability.nullable().default(null),
  layer_norm_eps: epsilon.default(1e-12),
  initializer_range: shape.initializer_range,
  pad_token_id: shape.pad_token_id,
  id2label: shape.id2label,
  problem_type: shape.problem_type,
} as const;

/** A configuration whose schema has {@link BERT_SHAPE}. */
export type BertLikeConfig = z.infer<z.ZodObject<typeof BERT_SHAPE>> & ModelConfig;

/** Whether the attention heads divide the hidden size; see {@link HEADS_RULE}. */
export function headsFit(config: { hidden_size: number; num_attention_heads: number }): boolean {
  return config.hidden_size % config.num_attention_heads === 0;
}

/** The message where {@link headsFit} does not hold. */
export const HEADS_RULE = { path: ["num_attention_heads"], message: "must divide hidden_size" };

/** The sizes of an encoder whose configuration uses transformers' most common names. */
export function sizesOf({
  hidden_size,
  num_hidden_layers,
  num_attention_heads,
}: EncoderSizes): EncoderSizes {
  return { hidden_size, num_hidden_layers, num_attention_heads };
}

/** The dropout before the classifier. */
export function headDropout(
  { classifier_dropout, hidden_dropout_prob }: Pick<
    BertLikeConfig,
    "classifier_dropout" | "hidden_dropout_prob"
  >,
): number {
  return classifier_dropout ?? hidden_dropout_prob;
}

/** The configuration with one dropout probability everywhere. */
export function withDropout<Config extends BertLikeConfig>(
  config: Config,
  dropout: number,
): Config {
  return {
    ...config,
    hidden_dropout_prob: dropout,
    attention_probs_dropout_prob: dropout,
    // With null the classifier has the dropout of the hidden layers.
    classifier_dropout: null,
  };
}

/** The names of an encoder under `base`, without the layer that gives the logits. */
export function encoderNames(base: string): Omit<FamilyNames, "output"> {
  return {
    base,
    layers: `${base}.encoder.layer.`,
    words: `${base}.embeddings.word_embeddings`,
    attention: { query: "query", key: "key", value: "value" },
  };
}

/** How a family's encoder differs from BERT's. */
export interface BertEncoderOptions {
  /** The prefix of its parameters' names. */
  base: string;
  /** The row of the position embeddings for a text's first token. */
  firstPosition: number;
  /** The width of embeddings; if not the hidden size, `NAME.embeddings_project` projects them. */
  embeddingSize?: number;
}

/** Appends the encoder; see `Family.encoder`. */
export function bertEncoder(
  graph: Graph,
  { base, firstPosition, embeddingSize }: BertEncoderOptions,
  options: GraphOptions<BertLikeConfig>,
  wanted: WantedTokens,
): Tensor {
  const { config } = options;
  const { hidden_size, num_hidden_layers, hidden_dropout_prob, layer_norm_eps } = config;
  const { inputIds, attentionMask } = textInputs(graph);
  const ids = config.type_vocab_size > 1 ? tokenTypeInput(graph) : undefined;
  const bias = attentionBias(attentionMask, options);
  const name = `${base}.embeddings`;
  const embedded = embeddings(inputIds, {
    words: { name: `${name}.word_embeddings`, width: embeddingSize ?? hidden_size },
    types: { name: `${name}.token_type_embeddings`, rows: config.type_vocab_size, ids },
    positions: {
      name: `${name}.position_embeddings`,
      rows: config.max_position_embeddings,
      first: firstPosition,
    },
  }, options);
  const normalized = normalization(embedded, `${name}.LayerNorm`, layer_norm_eps, options);
  const dropped = drop(normalized, hidden_dropout_prob, options);
  const x = embeddingSize === undefined || embeddingSize === hidden_size
    ? dropped
    : linear(dropped, `${base}.embeddings_project`, hidden_size, options);
  const layer = (x: Tensor, queries: Tensor, index: number) =>
    bertLayer(x, queries, bias, `${base}.encoder.layer.${index}`, index, options);
  return encoderLayers(x, { count: num_hidden_layers, wanted, layer }, options);
}

function bertLayer(
  x: Tensor,
  queries: Tensor,
  bias: Tensor,
  name: string,
  index: number,
  options: GraphOptions<BertLikeConfig>,
): Tensor {
  const { config } = options;
  const context = attention(x, queries, {
    query: `${name}.attention.self.query`,
    key: `${name}.attention.self.key`,
    value: `${name}.attention.self.value`,
    heads: config.num_attention_heads,
    layer: index,
    bias,
    dropout: config.attention_probs_dropout_prob,
    prefixDropout: config.hidden_dropout_prob,
  }, options);
  return afterAttention(context, queries, name, options);
}

/**
 * The rest of a layer, after attention: its output layer and the feed-forward layers, each within a
 * residual connection.
 *
 * @param context The output of attention for `queries`, both `[queryLength*batch, hidden]`.
 * @param name The prefix of the layer's parameters' names.
 */
export function afterAttention(
  context: Tensor,
  queries: Tensor,
  name: string,
  options: GraphOptions<
    & ModelConfig
    & Pick<
      BertLikeConfig,
      "hidden_size" | "intermediate_size" | "hidden_dropout_prob" | "layer_norm_eps"
    >
  >,
): Tensor {
  const { hidden_size, intermediate_size, hidden_dropout_prob, layer_norm_eps } = options.config;
  const residual = (output: Tensor, input: Tensor, part: string) =>
    normalization(
      add(drop(output, hidden_dropout_prob, options), input),
      `${part}.output.LayerNorm`,
      layer_norm_eps,
      options,
    );
  const projected = linear(context, `${name}.attention.output.dense`, hidden_size, options);
  const attended = residual(projected, queries, `${name}.attention`);
  const output = feedForward(attended, {
    inner: `${name}.intermediate.dense`,
    output: `${name}.output.dense`,
    size: intermediate_size,
  }, options);
  return residual(output, attended, name);
}

/** A layer, GELU and a normalisation, by the names of their parameters: `[rows, hidden]` -> `[rows, to]`. */
export function maskedLanguageTransform(
  x: Tensor,
  { dense, norm, to }: { dense: string; norm: string; to: number },
  options: GraphOptions<ModelConfig & { layer_norm_eps: number }>,
): Tensor {
  const inner = gelu(linear(x, dense, to, options));
  return normalization(inner, norm, options.config.layer_norm_eps, options);
}
