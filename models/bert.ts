/**
 * BERT (Devlin et al., 2019) as an ONNX graph: the encoder, and the classifier that stands on it.
 * Parameters have the names and layouts of transformers' `BertForSequenceClassification`.
 *
 * In the shapes below, `batch` and `length` are symbols; `tokens` is `batch*length`, a prompt's
 * virtual tokens included.
 *
 * @module
 */
import type { Dropout } from "../onnx/dropout.ts";
import type { Graph, Tensor } from "../onnx/graph.ts";
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
} from "../onnx/operators.ts";
import { type Dimension, product, sum } from "../onnx/shape.ts";
import type { BertConfig } from "./config.ts";

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
  const { config, parameter, dropout, mixedRows } = options;
  const pooled = bertPooler(bertEncoder(graph, options, "first"), config, parameter);
  if (mixedRows !== undefined) return mixedRows.heads(pooled);
  const { hidden_size: hidden, hidden_dropout_prob: hiddenDropout } = config;
  const probability = config.classifier_dropout ?? hiddenDropout;
  const labelCount = Object.keys(config.id2label).length;
  const dropped = dropout?.apply(pooled, probability) ?? pooled;
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
 * @returns What the last layer gives: `[batch, hidden]` or `[tokens, hidden]`.
 */
export function bertEncoder(
  graph: Graph,
  { config, parameter, dropout, virtualTokens, mixedRows }: EncoderGraphOptions,
  wanted: "first" | "all",
): Tensor {
  const {
    hidden_size: hidden,
    hidden_dropout_prob: hiddenDropout,
    attention_probs_dropout_prob: attentionDropout,
    num_attention_heads: heads,
    intermediate_size: intermediate,
  } = config;
  const { prefix, prompt } = virtualTokens ?? {};
  const headSize = hidden / heads;
  const prefixLength = prefix?.shape[1] ?? 0;
  const promptLength = prompt?.shape[0] ?? 0;
  const length = sum([promptLength, "length"]); // what the encoder computes
  const keyLength = sum([prefixLength, length]); // what it attends to
  const drop = (x: Tensor, probability: number) => dropout?.apply(x, probability) ?? x;

  const project = (x: Tensor, name: string, from: number, to: number) =>
    linear(x, parameter, name, from, to);
  const normalize = (x: Tensor, name: string) => normalization(x, parameter, name, config);

  /**
   * -> `[tokens, hidden]`. Rows go by place and then by text: in this order the parts of a text's
   * heads lie at even distances, and products on the CPU read them where they are.
   */
  const embeddings = (inputIds: Tensor, tokenTypeIds: Tensor) => {
    const table = (name: string, rows: number) =>
      parameter(`bert.embeddings.${name}_embeddings.weight`, [rows, hidden]);
    let words = gather(table("word", config.vocab_size), inputIds);
    const typeTable = table("token_type", config.type_vocab_size);
    let types = gather(typeTable, tokenTypeIds);
    const positionTable = table("position", config.max_position_embeddings);
    const positions = mixedRows === undefined
      ? slice(behind(positionTable, prefixLength as number), 0, 0, length)
      : gather(positionTable, mixedRows.positionIds);
    if (mixedRows !== undefined) words = mixedRows.withPrompts(words);
    if (prompt !== undefined) {
      const before = (x: Tensor) => expand(x, ["batch", promptLength, hidden]);
      words = concat([before(prompt), words], 1);
      types = concat([before(slice(typeTable, 0, 0, 1)), types], 1);
    }
    const summed = transpose(add(add(words, types), positions), [1, 0, 2]);
    const rows = reshape(summed, [product([length, "batch"]), hidden]);
    return drop(normalize(rows, "bert.embeddings.LayerNorm"), hiddenDropout);
  };

  /** One part of a prefix's last axis, by head. */
  const prefixPart = (prefix: Tensor, part: number) => {
    const [batch, count] = prefix.shape as [Dimension, Dimension];
    const rows = slice(prefix, 2, part * hidden, (part + 1) * hidden);
    const split = transpose(reshape(rows, [batch, count, heads, headSize]), [0, 2, 1, 3]);
    return drop(expand(split, split.shape.with(0, "batch")), hiddenDropout);
  };

  /**
   * @param x `[tokens, hidden]`, from which keys and values are made
   * @param queries `[batch*queryLength, hidden]`, the rows of `x` whose result is wanted
   * @returns `[batch*queryLength, hidden]`
   */
  const attention = (
    x: Tensor,
    queries: Tensor,
    queryLength: Dimension,
    bias: Tensor,
    layer: number,
    name: string,
  ) => {
    const split = (rows: Tensor, length: Dimension, part: string) => {
      const projected = project(rows, `${name}.self.${part}`, hidden, hidden);
      return transpose(reshape(projected, [length, "batch", heads, headSize]), [1, 2, 0, 3]);
    };
    const query = split(queries, queryLength, "query"); // [batch, heads, queryLength, headSize]
    let key = split(x, length, "key"); //                  [batch, heads, keyLength, headSize]
    let value = split(x, length, "value"); //              [batch, heads, keyLength, headSize]
    if (prefix !== undefined) {
      key = concat([prefixPart(prefix, 2 * layer), key], 2);
      value = concat([prefixPart(prefix, 2 * layer + 1), value], 2);
    }
    const products = matMul(query, key, { transposeB: true });
    const scores = add(mul(products, 1 / Math.sqrt(headSize)), bias);
    const weights = drop(softmax(scores), attentionDropout); // [batch, heads, queryLength, keyLength]
    const context = reshape(
      transpose(matMul(weights, value), [2, 0, 1, 3]),
      [queries.shape[0]!, hidden],
    );
    const output = drop(project(context, `${name}.output.dense`, hidden, hidden), hiddenDropout);
    return normalize(add(output, queries), `${name}.output.LayerNorm`);
  };

  const feedForward = (x: Tensor, name: string) => {
    const inner = gelu(project(x, `${name}.intermediate.dense`, hidden, intermediate));
    const output = project(inner, `${name}.output.dense`, intermediate, hidden);
    return normalize(add(drop(output, hiddenDropout), x), `${name}.output.LayerNorm`);
  };

  const inputIds = graph.input("input_ids", "int64", ["batch", "length"]);
  const attentionMask = graph.input("attention_mask", "int64", ["batch", "length"]);
  const tokenTypeIds = graph.input("token_type_ids", "int64", ["batch", "length"]);

  const ignored = sub(graph.scalar(1), cast(attentionMask, "float32"));
  let penalties = mul(ignored, -MASKED);
  if (keyLength !== "length") {
    const before = mixedRows === undefined
      ? expand(graph.scalar(0), ["batch", sum([prefixLength, promptLength])])
      : mul(sub(graph.scalar(1), mixedRows.prefixMask), -MASKED);
    penalties = concat([before, penalties], 1);
  }
  const bias = reshape(penalties, ["batch", 1, 1, keyLength]);

  let x = embeddings(inputIds, tokenTypeIds);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const name = `bert.encoder.layer.${layer}`;
    // A classifier reads the first token alone, so that its last layer computes no other.
    const firstOnly = wanted === "first" && layer === config.num_hidden_layers - 1;
    const queries = firstOnly ? slice(x, 0, 0, "batch") : x;
    const queryLength = firstOnly ? 1 : length;
    const attended = attention(x, queries, queryLength, bias, layer, `${name}.attention`);
    x = feedForward(attended, name);
  }
  if (wanted === "first") return x;
  const byText = transpose(reshape(x, [length, "batch", hidden]), [1, 0, 2]);
  return reshape(byText, x.shape);
}

/** The rows of a table that follow the first `count`. */
function behind(table: Tensor, count: number): Tensor {
  return count === 0 ? table : slice(table, 0, count, table.shape[0]!);
}

/** The first token of each text: `[batch*length, hidden]` -> `[batch, hidden]` */
export function firstTokens(x: Tensor, length: Dimension, hidden: number): Tensor {
  return reshape(slice(reshape(x, ["batch", length, hidden]), 1, 0, 1), ["batch", hidden]);
}
