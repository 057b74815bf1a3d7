/**
 * BERT for sequence classification (Devlin et al., 2019) as an ONNX graph. Parameters have the
 * names and layouts of transformers' `BertForSequenceClassification`.
 *
 * In the shapes below, `batch` and `length` are symbols; `tokens` is `batch*length`.
 *
 * @module
 */
import type { Dropout } from "../onnx/dropout.ts";
import type { Graph, Tensor } from "../onnx/graph.ts";
import {
  add,
  cast,
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
import { type Dimension, product } from "../onnx/shape.ts";
import type { BertConfig } from "./config.ts";

/** Gives the tensor that holds a parameter: a graph input in training, a constant when exported. */
export type ParameterSource = (name: string, shape: readonly number[]) => Tensor;

/** What the graph of a classifier is made from. */
export interface ClassifierGraphOptions {
  config: BertConfig;
  parameter: ParameterSource;
  /** Present while training. */
  dropout?: Dropout;
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
  { config, parameter, dropout }: ClassifierGraphOptions,
): Tensor {
  const {
    hidden_size: hidden,
    hidden_dropout_prob: hiddenDropout,
    attention_probs_dropout_prob: attentionDropout,
    num_attention_heads: heads,
    intermediate_size: intermediate,
  } = config;
  const drop = (x: Tensor, probability: number) => dropout?.apply(x, probability) ?? x;

  /** x `[rows, from]` -> `[rows, to]` */
  const linear = (x: Tensor, name: string, from: number, to: number) =>
    gemm(x, parameter(`${name}.weight`, [to, from]), parameter(`${name}.bias`, [to]), {
      transposeB: true,
    });

  const normalize = (x: Tensor, name: string) =>
    layerNormalization(
      x,
      parameter(`${name}.weight`, [hidden]),
      parameter(`${name}.bias`, [hidden]),
      config.layer_norm_eps,
    );

  /** -> `[batch, length, hidden]` */
  const embeddings = (inputIds: Tensor, tokenTypeIds: Tensor) => {
    const table = (name: string, rows: number) =>
      parameter(`bert.embeddings.${name}_embeddings.weight`, [rows, hidden]);
    const words = gather(table("word", config.vocab_size), inputIds);
    const types = gather(table("token_type", config.type_vocab_size), tokenTypeIds);
    const positions = slice(table("position", config.max_position_embeddings), 0, 0, "length");
    return drop(
      normalize(add(add(words, types), positions), "bert.embeddings.LayerNorm"),
      hiddenDropout,
    );
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
    name: string,
  ) => {
    const headSize = hidden / heads;
    const split = (rows: Tensor, length: Dimension, part: string, order: number[]) =>
      transpose(
        reshape(linear(rows, `${name}.self.${part}`, hidden, hidden), [
          "batch",
          length,
          heads,
          headSize,
        ]),
        order,
      );
    const query = split(queries, queryLength, "query", [0, 2, 1, 3]); // [batch, heads, queryLength, headSize]
    const key = split(x, "length", "key", [0, 2, 3, 1]); //              [batch, heads, headSize, length]
    const value = split(x, "length", "value", [0, 2, 1, 3]); //          [batch, heads, length, headSize]
    const scores = add(mul(matMul(query, key), 1 / Math.sqrt(headSize)), bias);
    const weights = drop(softmax(scores), attentionDropout); // [batch, heads, queryLength, length]
    const context = reshape(
      transpose(matMul(weights, value), [0, 2, 1, 3]),
      [queries.shape[0]!, hidden],
    );
    const output = drop(linear(context, `${name}.output.dense`, hidden, hidden), hiddenDropout);
    return normalize(add(output, queries), `${name}.output.LayerNorm`);
  };

  const feedForward = (x: Tensor, name: string) => {
    const inner = gelu(linear(x, `${name}.intermediate.dense`, hidden, intermediate));
    const output = linear(inner, `${name}.output.dense`, intermediate, hidden);
    return normalize(add(drop(output, hiddenDropout), x), `${name}.output.LayerNorm`);
  };

  const inputIds = graph.input("input_ids", "int64", ["batch", "length"]);
  const attentionMask = graph.input("attention_mask", "int64", ["batch", "length"]);
  const tokenTypeIds = graph.input("token_type_ids", "int64", ["batch", "length"]);

  const ignored = sub(graph.scalar(1), cast(attentionMask, "float32"));
  const bias = reshape(mul(ignored, -MASKED), ["batch", 1, 1, "length"]);

  let x = reshape(embeddings(inputIds, tokenTypeIds), [product(["batch", "length"]), hidden]);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const name = `bert.encoder.layer.${layer}`;
    // The classifier reads the first token alone, so the last layer computes no other.
    const last = layer === config.num_hidden_layers - 1;
    const queries = last ? firstTokens(x, hidden) : x;
    const queryLength = last ? 1 : "length";
    const attended = attention(x, queries, queryLength, bias, `${name}.attention`);
    x = feedForward(attended, name);
  }

  const pooled = tanh(linear(x, "bert.pooler.dense", hidden, hidden)); // [batch, hidden]
  const classifierDropout = config.classifier_dropout ?? hiddenDropout;
  const labelCount = Object.keys(config.id2label).length;
  return linear(drop(pooled, classifierDropout), "classifier", hidden, labelCount);
}

/** `[batch*length, hidden]` -> `[batch, hidden]` */
function firstTokens(x: Tensor, hidden: number): Tensor {
  return reshape(slice(reshape(x, ["batch", "length", hidden]), 1, 0, 1), ["batch", hidden]);
}
