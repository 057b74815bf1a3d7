/**
 * The parts of the encoders of all families: embeddings, attention, feed-forward layers and
 * normalisation, as functions that append to a graph.
 *
 * In the shapes below, `batch` and `length` are symbols; a prompt's virtual tokens count as part of
 * `length`. Within an encoder rows go by place and then by text, `[length*batch, hidden]`: split into
 * heads, they become operands of products by the transposition [1, 2, 0, 3], which onnxruntime's
 * MatmulTransposeFusion on the CPU makes a part of the product.
 *
 * @module
 */
import type { Dropout } from "../onnx/graph/dropout.ts";
import type { Graph, Tensor } from "../onnx/graph/graph.ts";
import {
  add,
  attend,
  cast,
  concat,
  expand,
  gather,
  gelu,
  gemm,
  layerNormalization,
  matMul,
  mul,
  reduceSum,
  reshape,
  slice,
  softmax,
  sub,
  transpose,
} from "../onnx/graph/operators.ts";
import { type Dimension, product, sum } from "../onnx/graph/shape.ts";
import type { HeadLayer } from "./family.ts";
import type { ModelConfig } from "./formats/config.ts";

/** Returns the tensor of a parameter: a graph input in training, a constant when exported. */
export type ParameterSource = (name: string, shape: readonly number[]) => Tensor;

/** Tuned vectors that stand before a text, of one kind or the other. */
export interface VirtualTokens {
  /**
   * Keys and values for every layer (Liu et al., 2022), `[1 or batch, count, 2*layers*hidden]`: keys
   * of layer `i` in part `2i` of the last axis, values in part `2i+1`. Positions of the text start
   * `count` later.
   */
  prefix?: Tensor;
  /** Embeddings at the input layer (Lester et al., 2021), `[count, width]`. */
  prompt?: Tensor;
}

/** The adapters of the rows of a batch, where these belong to models tuned on one base. */
export interface MixedTokens {
  /** `[batch, length]` */
  positionIds: Tensor;
  /** The virtual tokens of the prefix that belong to a row, float32 `[batch, count]`, 1 or 0. */
  prefixMask: Tensor;
  /** The embeddings of words, `[batch, length, width]`, with those of prompts in their places. */
  withPrompts(words: Tensor): Tensor;
}

/**
 * Changes the output of a linear layer of a base.
 *
 * @param projected Its output, `[rows, to]`.
 * @param x Its input, `[rows, from]`.
 * @param name The layer's, without `.weight`.
 */
export type Projection = (projected: Tensor, x: Tensor, name: string) => Tensor;

/** The options of an encoder's graph; the functions below pass them on to one another. */
export interface GraphOptions<Config extends ModelConfig = ModelConfig> {
  config: Config;
  parameter: ParameterSource;
  /** Present while training. */
  dropout?: Dropout | undefined;
  /** The set that collects the inputs of layers, if the backward pass is to recompute the rest. */
  checkpoints?: Set<Tensor> | undefined;
  virtualTokens?: VirtualTokens | undefined;
  mixedRows?: MixedTokens | undefined;
  project?: Projection | undefined;
}

/** The tokens of the last layer that are wanted: the first of each text, or all. */
export type WantedTokens = "first" | "all";

/** The number subtracted from the attention scores of padding; its exponential is 0 in float32. */
export const MASKED = 1e9;

/** The inputs of a graph that come from texts, int64 `[batch, length]`. */
export interface TextInputs {
  inputIds: Tensor;
  attentionMask: Tensor;
}

/** Adds the inputs `input_ids` and `attention_mask`, int64 `[batch, length]`, to a graph. */
export function textInputs(graph: Graph): TextInputs {
  return {
    inputIds: graph.input("input_ids", "int64", ["batch", "length"]),
    attentionMask: graph.input("attention_mask", "int64", ["batch", "length"]),
  };
}

/** Adds the input `token_type_ids`, int64 `[batch, length]`, for families that tell texts apart. */
export function tokenTypeInput(graph: Graph): Tensor {
  return graph.input("token_type_ids", "int64", ["batch", "length"]);
}

/** `x [rows, from]` -> `[rows, to]`, with `NAME.weight`, `[to, from]`, and `NAME.bias`. */
export function linear(
  x: Tensor,
  name: string,
  to: number,
  { parameter, project }: GraphOptions,
  { bias = true }: { bias?: boolean | undefined } = {},
): Tensor {
  const from = x.shape.at(-1) as number;
  const weight = parameter(`${name}.weight`, [to, from]);
  const offset = bias ? parameter(`${name}.bias`, [to]) : undefined;
  const projected = gemm(x, weight, offset, { transposeB: true });
  return project?.(projected, x, name) ?? projected;
}

/** Layer normalisation of `x [..., hidden]` with `NAME.weight` and `NAME.bias`, if it has one. */
export function normalization(
  x: Tensor,
  name: string,
  epsilon: number,
  { parameter }: GraphOptions,
  { bias = true }: { bias?: boolean } = {},
): Tensor {
  const hidden = x.shape.at(-1) as number;
  const weight = parameter(`${name}.weight`, [hidden]);
  const offset = bias ? parameter(`${name}.bias`, [hidden]) : expand(x.graph.scalar(0), [hidden]);
  return layerNormalization(x, weight, offset, epsilon);
}

/** A layer of a head: `x [rows, from]` -> `[rows, to]`. */
export function headLayer(
  x: Tensor,
  { name, dropout, bias, activation, norm }: HeadLayer,
  to: number,
  options: GraphOptions,
): Tensor {
  const projected = linear(drop(x, dropout, options), name, to, options, { bias });
  const activated = activation?.(projected) ?? projected;
  return norm === undefined
    ? activated
    : normalization(activated, norm.name, norm.epsilon, options, norm);
}

/** The same options, but a parameter that is requested again is the tensor of the first time. */
export function sharedParameters<Options extends GraphOptions>(options: Options): Options {
  const known = new Map<string, Tensor>();
  const parameter: ParameterSource = (name, shape) => {
    const tensor = known.get(name) ?? options.parameter(name, shape);
    known.set(name, tensor);
    return tensor;
  };
  return { ...options, parameter };
}

/** Dropout, if the model is being trained. */
export function drop(x: Tensor, probability: number, { dropout }: GraphOptions): Tensor {
  return dropout?.apply(x, probability) ?? x;
}

/** The number of tokens of a text that an encoder computes. */
export function encodedLength({ virtualTokens }: GraphOptions): Dimension {
  return sum([virtualTokens?.prompt?.shape[0] ?? 0, "length"]);
}

/** The tables whose rows add up to the input of the first layer. */
export interface EmbeddingTables {
  /** The parameter `NAME.weight`, `[vocab_size, width]`. */
  words: { name: string; width: number };
  /** The types of tokens, which distinguish two texts; without ids all are of type 0. */
  types?: { name: string; rows: number; ids?: Tensor | undefined } | undefined;
  /** The positions of tokens; `first` is the row of a text's first token. */
  positions?: { name: string; rows: number; first: number } | undefined;
}

/** The sum of a text's embeddings, `[length*batch, width]`, before normalisation and dropout. */
export function embeddings(
  inputIds: Tensor,
  { words: { name, width }, types, positions }: EmbeddingTables,
  options: GraphOptions,
): Tensor {
  const { config, parameter, virtualTokens: { prefix, prompt } = {}, mixedRows } = options;
  const table = (name: string, rows: number) => parameter(`${name}.weight`, [rows, width]);
  const length = encodedLength(options);
  /** The embedding of each token of a prompt, `[1, width]` -> `[batch, count, width]`. */
  const before = (x: Tensor) => expand(x, ["batch", prompt!.shape[0]!, width]);

  const ids = gather(table(name, config.vocab_size), inputIds);
  const typeTable = types && table(types.name, types.rows);
  let typed = types?.ids && gather(typeTable!, types.ids);
  const positionTable = positions && table(positions.name, positions.rows);
  const placed = positionTable && (mixedRows === undefined
    ? slice(
      behind(positionTable, positions!.first + ((prefix?.shape[1] ?? 0) as number)),
      0,
      0,
      length,
    )
    : gather(positionTable, mixedRows.positionIds));
  let words = mixedRows?.withPrompts(ids) ?? ids;
  if (prompt !== undefined) {
    words = concat([before(prompt), words], 1);
    typed = typed && concat([before(slice(typeTable!, 0, 0, 1)), typed], 1);
  }
  const type = typed ?? (typeTable && slice(typeTable, 0, 0, 1));
  const summed = [type, placed].reduce<Tensor>((x, y) => y === undefined ? x : add(x, y), words);
  return reshape(transpose(summed, [1, 0, 2]), [product([length, "batch"]), width]);
}

/** The rows of a table after the first `count`. */
function behind(table: Tensor, count: number): Tensor {
  return count === 0 ? table : slice(table, 0, count, table.shape[0]!);
}

/**
 * The mask that is added to the scores of attention, `[batch, 1, 1, keyLength]`: 0, or
 * -{@link MASKED}.
 */
export function attentionBias(attentionMask: Tensor, options: GraphOptions): Tensor {
  const { graph } = attentionMask;
  const { virtualTokens, mixedRows } = options;
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

/**
 * One layer of an encoder.
 *
 * @param x The output of the layer before, `[length*batch, hidden]`.
 * @param queries The rows of `x` whose result is wanted, `[queryLength*batch, hidden]`.
 * @param index Counted from 0.
 * @returns `[queryLength*batch, hidden]`
 */
export type EncoderLayer = (x: Tensor, queries: Tensor, index: number) => Tensor;

/**
 * Runs `x [length*batch, hidden]` through layers, the last of which computes only the wanted
 * tokens.
 *
 * @returns `[batch, hidden]` for the first tokens, `[batch*length, hidden]`, text by text, for all.
 */
export function encoderLayers(
  x: Tensor,
  { count, wanted, layer }: { count: number; wanted: WantedTokens; layer: EncoderLayer },
  options: GraphOptions,
): Tensor {
  for (let index = 0; index < count; index++) {
    const firstOnly = wanted === "first" && index === count - 1;
    options.checkpoints?.add(x);
    x = layer(x, firstOnly ? slice(x, 0, 0, "batch") : x, index);
  }
  if (wanted === "first") return x;
  const split = reshape(x, [encodedLength(options), "batch", x.shape[1]!]);
  return reshape(transpose(split, [1, 0, 2]), x.shape);
}

/** The first token of each text, of tokens text by text: `[batch*length, hidden]` -> `[batch, hidden]`. */
export function firstTokens(x: Tensor, length: Dimension): Tensor {
  const hidden = x.shape[1]!;
  return reshape(slice(reshape(x, ["batch", length, hidden]), 1, 0, 1), ["batch", hidden]);
}

/** The sum of each text's tokens, without padding: `[batch*length, hidden]` -> `[batch, hidden]`. */
export function sumOfTokens(x: Tensor): Tensor {
  const mask = x.graph.inputs.find(({ name }) => name === "attention_mask")!;
  const isToken = reshape(cast(mask, "float32"), ["batch", "length", 1]);
  return reduceSum(mul(reshape(x, ["batch", "length", x.shape[1]!]), isToken), [1]);
}

/** The mean of each text's tokens, without padding: `[batch*length, hidden]` -> `[batch, hidden]`. */
export function meanOfTokens(x: Tensor, options: GraphOptions): Tensor {
  const mask = x.graph.inputs.find(({ name }) => name === "attention_mask")!;
  const length = encodedLength(options);
  const weights = softmax(reshape(attentionBias(mask, options), ["batch", 1, length]));
  const tokens = reshape(x, ["batch", length, x.shape[1]!]);
  return reshape(matMul(weights, tokens), ["batch", x.shape[1]!]);
}

/** Options of {@link attention}. */
export interface AttentionOptions {
  /** The layers that project the rows, by the names of their parameters. */
  query: string;
  key: string;
  value: string;
  heads: number;
  /** The layer's index, which selects its part of a prefix. */
  layer: number;
  /** The bias added to the scores, to be broadcast to `[batch, heads, queryLength, keyLength]`. */
  bias: Tensor;
  /** The dropout of the weights of attention. */
  dropout: number;
  /** The dropout of the keys and values of a prefix. */
  prefixDropout: number;
}

/**
 * Scaled dot-product attention (Vaswani et al., 2017), before the layer that projects its output.
 *
 * @param x The input, as in {@link EncoderLayer}, like `queries` and the result.
 */
export function attention(
  x: Tensor,
  queries: Tensor,
  { query: queryName, key: keyName, value: valueName, heads, ...rest }: AttentionOptions,
  options: GraphOptions,
): Tensor {
  const hidden = x.shape[1] as number;
  const split = (rows: Tensor, length: Dimension, name: string) =>
    splitHeads(linear(rows, name, hidden, options), length, heads);
  const length = encodedLength(options);
  const query = split(queries, queries === x ? length : 1, queryName);
  const [key, value] = withPrefix(
    split(x, length, keyName),
    split(x, length, valueName),
    rest.layer,
    rest.prefixDropout,
    options,
  );
  const products = matMul(query, key, { transposeB: true });
  const scores = add(mul(products, 1 / Math.sqrt(hidden / heads)), rest.bias);
  return weightedValues(scores, value, rest.dropout, options);
}

/** The rows split by head: `[length*batch, hidden]` -> `[batch, heads, length, headSize]`. */
export function splitHeads(rows: Tensor, length: Dimension, heads: number): Tensor {
  const headSize = (rows.shape[1] as number) / heads;
  return transpose(reshape(rows, [length, "batch", heads, headSize]), [1, 2, 0, 3]);
}

/** Keys or values, `[batch, heads, keyLength, headSize]`, after those of a prefix, if any. */
export function withPrefix(
  key: Tensor,
  value: Tensor,
  layer: number,
  dropout: number,
  options: GraphOptions,
): [key: Tensor, value: Tensor] {
  const prefix = options.virtualTokens?.prefix;
  if (prefix === undefined) return [key, value];
  const [heads, headSize] = [key.shape[1] as number, key.shape[3] as number];
  const part = (index: number) =>
    drop(prefixPart(prefix, index, heads, headSize), dropout, options);
  return [concat([part(2 * layer), key], 2), concat([part(2 * layer + 1), value], 2)];
}

/** One part of a prefix's last axis, by head: `[batch, heads, count, headSize]`. */
function prefixPart(prefix: Tensor, part: number, heads: number, headSize: number): Tensor {
  const [batch, count] = prefix.shape as [Dimension, Dimension];
  const hidden = heads * headSize;
  const rows = slice(prefix, 2, part * hidden, (part + 1) * hidden);
  const split = transpose(reshape(rows, [batch, count, heads, headSize]), [0, 2, 1, 3]);
  return expand(split, split.shape.with(0, "batch"));
}

/**
 * The values weighted by attention: scores `[batch, heads, queryLength, keyLength]` and value
 * `[batch, heads, keyLength, headSize]` -> `[queryLength*batch, hidden]`.
 */
export function weightedValues(
  scores: Tensor,
  value: Tensor,
  dropout: number,
  options: GraphOptions,
): Tensor {
  const [heads, queryLength, headSize] = [scores.shape[1]!, scores.shape[2]!, value.shape[3]!];
  const mask = options.dropout?.mask(scores.shape, dropout);
  const context = transpose(attend(scores, value, mask), [2, 0, 1, 3]);
  return reshape(context, [
    product([queryLength, "batch"]),
    (heads as number) * (headSize as number),
  ]);
}

/** Two layers with GELU between them, by the names of their parameters, the first `size` wide. */
export function feedForward(
  x: Tensor,
  { inner, output, size }: { inner: string; output: string; size: number },
  options: GraphOptions,
): Tensor {
  const activated = gelu(linear(x, inner, size, options));
  return linear(activated, output, x.shape[1] as number, options);
}
