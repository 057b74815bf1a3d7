/**
 * BERT (Devlin et al., 2019) as an ONNX graph: the encoder, and the classifier that stands on it.
 * Parameters have the names and layouts of transformers' `BertForSequenceClassification`.
 *
 * In the shapes below, `batch` and `length` are symbols; a prompt's virtual tokens count as part of
 * `length`. Within the encoder rows go by place and then by text, `[length*batch, hidden]`: split into
 * heads, they become operands of products by the transposition [1, 2, 0, 3], which onnxruntime's
 * MatmulTransposeFusion on the CPU makes a part of the product.
 *
 * @module
 */
import type { Dropout } from "../onnx/graph/dropout.ts";
import type { Graph, Tensor } from "../onnx/graph/graph.ts";
import {
  add,
  cast,
  concat,
  expand,
  gather,
  gelu,
  gemm,
  layerNormalization,
  matMul,
  mul,
  reshape,
  slice,
  softmax,
  sub,
  tanh,
  transpose,
} from "../onnx/graph/operators.ts";
import { type Dimension, product, sum } from "../onnx/graph/shape.ts";
import type { BertConfig } from "./formats/config.ts";

/** Gives the tensor that holds a parameter: a graph input in training, a constant when exported. */
export type ParameterSource = (name: string, shape: readonly number[]) => Tensor;

/** Tuned vectors that stand before a text, of one kind or the other. */
export interface VirtualTokens {
  /**
   * Keys and values for every layer (Liu et al., 2022), `[1 or batch, count, 2*layers*hidden]`: keys
   * of layer `i` in part `2i` of the last axis, values in part `2i+1`. Positions of the text start at
   * `count`.
   */
  prefix?: Tensor;
  /** Embeddings at the input layer (Lester et al., 2021), `[count, hidden]`. */
  prompt?: Tensor;
}

/** What the encoder needs to know where the rows of a batch belong to models tuned on one base. */
export interface MixedTokens {
  /** `[batch, length]` */
  positionIds: Tensor;
  /** Which virtual tokens of the prefix belong to a row, float32 `[batch, count]`, 1 or 0. */
  prefixMask: Tensor;
  /** The embeddings of words, `[batch, length, hidden]`, with those of prompts in their places. */
  withPrompts(words: Tensor): Tensor;
}

/** Where the rows of a batch belong to models that were tuned on one base. */
export interface MixedRows extends MixedTokens {
  /** The logits of the first tokens, `[batch, hidden]`. */
  heads(pooled: Tensor): Tensor;
}

/** What the graph of an encoder is made from. */
export interface EncoderGraphOptions {
  config: BertConfig;
  parameter: ParameterSource;
  /** Present while training. */
  dropout?: Dropout | undefined;
  virtualTokens?: VirtualTokens | undefined;
  mixedRows?: MixedTokens | undefined;
}

/** What the graph of a classifier is made from. */
export interface ClassifierGraphOptions extends EncoderGraphOptions {
  mixedRows?: MixedRows | undefined;
}

/** Subtracted from the attention scores of padding; its exponential is 0 in float32. */
const MASKED = 1e9;

/**
 * Builds the classifier. Adds the inputs `input_ids`, `attention_mask` and `token_type_ids`, int64
 * `[batch, length]`, to the graph.
 *
 * @returns The logits, `[batch, labels]`.
 */
export function bertForSequenceClassification(
  graph: Graph,
  options: ClassifierGraphOptions,
): Tensor {
  const { config, parameter, mixedRows } = options;
  const pooled = bertPooler(bertEncoder(graph, options, "first"), config, parameter);
  if (mixedRows !== undefined) return mixedRows.heads(pooled);
  const { hidden_size: hidden, hidden_dropout_prob: hiddenDropout } = config;
  const probability = config.classifier_dropout ?? hiddenDropout;
  const labelCount = Object.keys(config.id2label).length;
  const dropped = drop(pooled, probability, options);
  return linear(dropped, parameter, "classifier", hidden, labelCount);
}

/** What stands for a whole text: `x [batch, hidden]`, the first tokens, through a layer of their own. */
export function bertPooler(x: Tensor, config: BertConfig, parameter: ParameterSource): Tensor {
  const { hidden_size: hidden } = config;
  return tanh(linear(x, parameter, "bert.pooler.dense", hidden, hidden));
}

/** x `[rows, from]` -> `[rows, to]`, by the parameters `NAME.weight`, `[to, from]`, and `NAME.bias`. */
export function linear(
  x: Tensor,
  parameter: ParameterSource,
  name: string,
  from: number,
  to: number,
): Tensor {
  const [weight, bias] = [parameter(`${name}.weight`, [to, from]), parameter(`${name}.bias`, [to])];
  return gemm(x, weight, bias, { transposeB: true });
}

/** Layer normalisation of `x [..., hidden]` by the parameters `NAME.weight` and `NAME.bias`. */
export function normalization(
  x: Tensor,
  parameter: ParameterSource,
  name: string,
  { hidden_size: hidden, layer_norm_eps: epsilon }: BertConfig,
): Tensor {
  const [weight, bias] = [
    parameter(`${name}.weight`, [hidden]),
    parameter(`${name}.bias`, [hidden]),
  ];
  return layerNormalization(x, weight, bias, epsilon);
}

/**
 * Builds the encoder. Adds the inputs `input_ids`, `attention_mask` and `token_type_ids`, int64
 * `[batch, length]`, to the graph.
 *
 * @param wanted Which tokens of the last layer are computed: the first of each text, or all.
 * @returns What the last layer gives: `[batch, hidden]`, or text by text `[batch*length, hidden]`.
 */
export function bertEncoder(
  graph: Graph,
  options: EncoderGraphOptions,
  wanted: "first" | "all",
): Tensor {
  const { num_hidden_layers: layers, hidden_size: hidden } = options.config;
  const inputIds = graph.input("input_ids", "int64", ["batch", "length"]);
  const attentionMask = graph.input("attention_mask", "int64", ["batch", "length"]);
  const tokenTypeIds = graph.input("token_type_ids", "int64", ["batch", "length"]);
  const length = encodedLength(options);
  const bias = attentionBias(attentionMask, options);
  let x = embeddings(inputIds, tokenTypeIds, options);
  for (let layer = 0; layer < layers; layer++) {
    // A classifier reads the first token alone, so that its last layer computes no other.
    const firstOnly = wanted === "first" && layer === layers - 1;
    const queries = firstOnly ? slice(x, 0, 0, "batch") : x;
    const queryLength = firstOnly ? 1 : length;
    x = feedForward(attention(x, queries, queryLength, bias, layer, options), layer, options);
  }
  if (wanted === "first") return x;
  const byText = transpose(reshape(x, [length, "batch", hidden]), [1, 0, 2]);
  return reshape(byText, x.shape);
}

/** How many tokens of a text the encoder computes. */
function encodedLength({ virtualTokens }: EncoderGraphOptions): Dimension {
  return sum([virtualTokens?.prompt?.shape[0] ?? 0, "length"]);
}

/** What is added to the scores of attention, `[batch, 1, 1, keyLength]`: nothing, or -{@link MASKED}. */
function attentionBias(
  attentionMask: Tensor,
  { virtualTokens, mixedRows }: EncoderGraphOptions,
): Tensor {
  const { graph } = attentionMask;
  const virtualLength = sum([
    virtualTokens?.prefix?.shape[1] ?? 0,
    virtualTokens?.prompt?.shape[0] ?? 0,
  ]);
  const ignored = sub(graph.scalar(1), cast(attentionMask, "float32"));
  let penalties = mul(ignored, -MASKED);
  if (virtualLength !== 0) {
    const before = mixedRows === undefined
      ? expand(graph.scalar(0), ["batch", virtualLength])
      : mul(sub(graph.scalar(1), mixedRows.prefixMask), -MASKED);
    penalties = concat([before, penalties], 1);
  }
  return reshape(penalties, ["batch", 1, 1, sum([virtualLength, "length"])]);
}

/** What the first layer takes, `[length*batch, hidden]`. */
function embeddings(
  inputIds: Tensor,
  tokenTypeIds: Tensor,
  options: EncoderGraphOptions,
): Tensor {
  const { config, parameter, virtualTokens, mixedRows } = options;
  const { hidden_size: hidden, hidden_dropout_prob } = config;
  const { prefix, prompt } = virtualTokens ?? {};
  const length = encodedLength(options);
  const table = (name: string, rows: number) =>
    parameter(`bert.embeddings.${name}_embeddings.weight`, [rows, hidden]);
  let words = gather(table("word", config.vocab_size), inputIds);
  const typeTable = table("token_type", config.type_vocab_size);
  let types = gather(typeTable, tokenTypeIds);
  const positionTable = table("position", config.max_position_embeddings);
  const positions = mixedRows === undefined
    ? slice(behind(positionTable, (prefix?.shape[1] ?? 0) as number), 0, 0, length)
    : gather(positionTable, mixedRows.positionIds);
  if (mixedRows !== undefined) words = mixedRows.withPrompts(words);
  if (prompt !== undefined) {
    const before = (x: Tensor) => expand(x, ["batch", prompt.shape[0]!, hidden]);
    words = concat([before(prompt), words], 1);
    types = concat([before(slice(typeTable, 0, 0, 1)), types], 1);
  }
  const summed = transpose(add(add(words, types), positions), [1, 0, 2]);
  const rows = reshape(summed, [product([length, "batch"]), hidden]);
  const normalized = normalization(rows, parameter, "bert.embeddings.LayerNorm", config);
  return drop(normalized, hidden_dropout_prob, options);
}

/**
 * @param x `[length*batch, hidden]`, from which keys and values are made
 * @param queries `[queryLength*batch, hidden]`, the rows of `x` whose result is wanted
 * @returns `[queryLength*batch, hidden]`
 */
function attention(
  x: Tensor,
  queries: Tensor,
  queryLength: Dimension,
  bias: Tensor,
  layer: number,
  options: EncoderGraphOptions,
): Tensor {
  const { config, parameter, virtualTokens } = options;
  const { hidden_size: hidden, num_attention_heads: heads } = config;
  const headSize = hidden / heads;
  const name = `bert.encoder.layer.${layer}.attention`;
  const split = (rows: Tensor, length: Dimension, part: string) => {
    const projected = linear(rows, parameter, `${name}.self.${part}`, hidden, hidden);
    return transpose(reshape(projected, [length, "batch", heads, headSize]), [1, 2, 0, 3]);
  };
  const length = encodedLength(options);
  const query = split(queries, queryLength, "query"); // [batch, heads, queryLength, headSize]
  let key = split(x, length, "key"); //                  [batch, heads, keyLength, headSize]
  let value = split(x, length, "value"); //              [batch, heads, keyLength, headSize]
  if (virtualTokens?.prefix !== undefined) {
    key = concat([prefixPart(virtualTokens.prefix, 2 * layer, options), key], 2);
    value = concat([prefixPart(virtualTokens.prefix, 2 * layer + 1, options), value], 2);
  }
  const products = matMul(query, key, { transposeB: true });
  const scores = add(mul(products, 1 / Math.sqrt(headSize)), bias);
  // [batch, heads, queryLength, keyLength]
  const weights = drop(softmax(scores), config.attention_probs_dropout_prob, options);
  const context = reshape(
    transpose(matMul(weights, value), [2, 0, 1, 3]),
    [queries.shape[0]!, hidden],
  );
  const output = linear(context, parameter, `${name}.output.dense`, hidden, hidden);
  const dropped = drop(output, config.hidden_dropout_prob, options);
  return normalization(add(dropped, queries), parameter, `${name}.output.LayerNorm`, config);
}

/** One part of a prefix's last axis, by head: `[batch, heads, count, headSize]`. */
function prefixPart(prefix: Tensor, part: number, options: EncoderGraphOptions): Tensor {
  const { hidden_size: hidden, num_attention_heads: heads, hidden_dropout_prob } = options.config;
  const [batch, count] = prefix.shape as [Dimension, Dimension];
  const rows = slice(prefix, 2, part * hidden, (part + 1) * hidden);
  const split = transpose(reshape(rows, [batch, count, heads, hidden / heads]), [0, 2, 1, 3]);
  return drop(expand(split, split.shape.with(0, "batch")), hidden_dropout_prob, options);
}

function feedForward(x: Tensor, layer: number, options: EncoderGraphOptions): Tensor {
  const { config, parameter } = options;
  const { hidden_size: hidden, intermediate_size: intermediate, hidden_dropout_prob } = config;
  const name = `bert.encoder.layer.${layer}`;
  const inner = gelu(linear(x, parameter, `${name}.intermediate.dense`, hidden, intermediate));
  const output = linear(inner, parameter, `${name}.output.dense`, intermediate, hidden);
  const dropped = drop(output, hidden_dropout_prob, options);
  return normalization(add(dropped, x), parameter, `${name}.output.LayerNorm`, config);
}

function drop(x: Tensor, probability: number, { dropout }: EncoderGraphOptions): Tensor {
  return dropout?.apply(x, probability) ?? x;
}

/** The rows of a table that follow the first `count`. */
function behind(table: Tensor, count: number): Tensor {
  return count === 0 ? table : slice(table, 0, count, table.shape[0]!);
}

/** The first token of each text: `[batch*length, hidden]` -> `[batch, hidden]` */
export function firstTokens(x: Tensor, length: Dimension, hidden: number): Tensor {
  return reshape(slice(reshape(x, ["batch", length, hidden]), 1, 0, 1), ["batch", hidden]);
}
