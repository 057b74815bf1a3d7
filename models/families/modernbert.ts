/**
 * ModernBERT (Warner et al., 2024), with the names and layouts of transformers'
 * `ModernBertForSequenceClassification` and `ModernBertForMaskedLM`: normalisation before each part
 * of a layer, gated feed-forward layers (Shazeer, 2020, "GLU variants improve transformer"), rotary
 * positions (Su et al., 2021, "RoFormer"), and local attention in most layers.
 *
 * @module
 */
import { z } from "zod";
import type { Graph, Tensor } from "../../onnx/graph/graph.ts";
import {
  add,
  concat,
  cos,
  gelu,
  matMul,
  mul,
  neg,
  relu,
  reshape,
  sin,
  slice,
  sub,
} from "../../onnx/graph/operators.ts";
import type { Family, HeadLayer } from "../family.ts";
import { epsilon, layerCount, ModelConfig, probability, size, width } from "../formats/config.ts";
import {
  attentionBias,
  drop,
  embeddings,
  encodedLength,
  encoderLayers,
  type GraphOptions,
  headLayer,
  linear,
  MASKED,
  normalization,
  splitHeads,
  textInputs,
  type WantedTokens,
  weightedValues,
} from "../layers.ts";
import { HEADS_RULE, headsFit, sizesOf } from "./bert_encoder.ts";

const { shape } = ModelConfig;

const LAYER_TYPES = ["full_attention", "sliding_attention"] as const;
type LayerType = typeof LAYER_TYPES[number];

/** How fast the angles of rotary positions turn, under both the older and the newer keys. */
const RotaryParameters = z.looseObject({
  rope_type: z.literal("default").default("default"),
  rope_theta: z.number().positive(),
});

/** The part of transformers' `ModernBertConfig` that Graft uses; other keys are kept as they are. */
export const ModernBertConfig = z.looseObject({
  model_type: z.literal("modernbert"),
  vocab_size: shape.vocab_size,
  hidden_size: width,
  num_hidden_layers: layerCount,
  num_attention_heads: size,
  intermediate_size: width,
  max_position_embeddings: shape.max_position_embeddings,
  hidden_activation: z.literal("gelu").default("gelu"),
  norm_eps: epsilon.default(1e-5),
  norm_bias: z.boolean().default(false),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  classifier_bias: z.boolean().default(false),
  classifier_activation: z.literal("gelu").default("gelu"),
  classifier_pooling: z.enum(["cls", "mean"]).default("cls"),
  layer_types: z.array(z.enum(LAYER_TYPES)).nullish(),
  global_attn_every_n_layers: size.default(3),
  local_attention: size.default(128),
  rope_parameters: z.object({
    full_attention: RotaryParameters,
    sliding_attention: RotaryParameters,
  }).nullish(),
  global_rope_theta: z.number().positive().default(160_000),
  local_rope_theta: z.number().positive().nullable().default(10_000),
  attention_dropout: probability.default(0),
  embedding_dropout: probability.default(0),
  mlp_dropout: probability.default(0),
  classifier_dropout: probability.default(0),
  initializer_range: shape.initializer_range,
  pad_token_id: shape.pad_token_id.unwrap().default(50283),
  id2label: shape.id2label,
  problem_type: shape.problem_type,
})
  .refine(headsFit, HEADS_RULE)
  .refine(
    ({ hidden_size, num_attention_heads }) => (hidden_size / num_attention_heads) % 2 === 0,
    { path: ["num_attention_heads"], message: "must leave each head an even size" },
  )
  .refine(
    ({ layer_types, num_hidden_layers }) =>
      layer_types == null || layer_types.length === num_hidden_layers,
    { path: ["layer_types"], message: "must name the type of each layer" },
  );

/** See the schema of the same name. */
export type ModernBertConfig = z.infer<typeof ModernBertConfig>;

/** See {@link Family}. */
export const modernbert: Family<ModernBertConfig> = {
  modelType: "modernbert",
  config: ModernBertConfig,
  architectures: {
    classifier: "ModernBertForSequenceClassification",
    maskedLanguage: "ModernBertForMaskedLM",
  },
  names: {
    base: "model",
    layers: "model.layers.",
    words: "model.embeddings.tok_embeddings",
    pooler: "head",
    output: "classifier",
    // One layer computes all three.
    attention: { query: "Wqkv", key: "Wqkv", value: "Wqkv" },
  },
  tokenizers: ["PreTrainedTokenizer"],
  takesPrefix: false,
  defaults: { learningRate: 5e-5, epochs: 4 },

  sizes: sizesOf,
  positions: ({ max_position_embeddings }) => ({ first: 0, count: max_position_embeddings }),
  withDropout: (config, dropout) => ({
    ...config,
    attention_dropout: dropout,
    embedding_dropout: dropout,
    mlp_dropout: dropout,
    classifier_dropout: dropout,
  }),

  encoder,
  pooling: ({ classifier_pooling }) => classifier_pooling === "mean" ? "mean" : "first",
  pooler: predictionHead,
  head: ({ classifier_dropout }) => [{ name: "classifier", dropout: classifier_dropout }],
  maskedLanguageHead: {
    transform: (x, options) =>
      headLayer(x, predictionHead(options.config), x.shape[1] as number, options),
    bias: "decoder.bias",
  },
};

/** A layer, GELU and a normalisation, for classifiers and masked tokens alike. */
function predictionHead({ classifier_bias, norm_eps, norm_bias }: ModernBertConfig): HeadLayer {
  return {
    name: "head.dense",
    dropout: 0,
    bias: classifier_bias,
    activation: gelu,
    norm: { name: "head.norm", epsilon: norm_eps, bias: norm_bias },
  };
}

function encoder(
  graph: Graph,
  options: GraphOptions<ModernBertConfig>,
  wanted: WantedTokens,
): Tensor {
  const { config } = options;
  const { hidden_size, num_hidden_layers, norm_eps, norm_bias } = config;
  const { inputIds, attentionMask } = textInputs(graph);
  const positions = positionNumbers(graph, options);
  const mask = attentionBias(attentionMask, options);
  const types: Record<LayerType, LayerInputs> = {
    full_attention: { bias: mask, ...rotation(positions, "full_attention", config) },
    sliding_attention: {
      bias: add(mask, distanceBias(positions, config)),
      ...rotation(positions, "sliding_attention", config),
    },
  };
  const name = "model.embeddings";
  const words = { name: `${name}.tok_embeddings`, width: hidden_size };
  const embedded = embeddings(inputIds, { words }, options);
  const normalized = normalization(embedded, `${name}.norm`, norm_eps, options, {
    bias: norm_bias,
  });
  const x = drop(normalized, config.embedding_dropout, options);
  const layer = (x: Tensor, queries: Tensor, index: number) =>
    encoderLayer(x, queries, types[layerType(index, config)], index, options);
  const encoded = encoderLayers(x, { count: num_hidden_layers, wanted, layer }, options);
  return normalization(encoded, "model.final_norm", norm_eps, options, { bias: norm_bias });
}

function layerType(
  index: number,
  { layer_types, global_attn_every_n_layers }: ModernBertConfig,
): LayerType {
  return layer_types?.[index] ??
    (index % global_attn_every_n_layers === 0 ? "full_attention" : "sliding_attention");
}

/** The tensors that layers of one type share. */
interface LayerInputs {
  /** The bias added to the attention scores, broadcast to `[batch, heads, length, length]`. */
  bias: Tensor;
  /** The cosine of each pair's rotation angle at each position, `[length, headSize/2]`. */
  cosines: Tensor;
  sines: Tensor;
}

/** 0, 1, 2, …, float32 `[length]`. */
function positionNumbers(graph: Graph, options: GraphOptions<ModernBertConfig>): Tensor {
  const { count } = modernbert.positions(options.config);
  const data = Float32Array.from({ length: count }, (_, position) => position);
  const all = graph.initializer("positions", { type: "float32", shape: [count], data });
  return slice(all, 0, 0, encodedLength(options));
}

function rotation(
  positions: Tensor,
  type: LayerType,
  { hidden_size, num_attention_heads, ...config }: ModernBertConfig,
): Pick<LayerInputs, "cosines" | "sines"> {
  const headSize = hidden_size / num_attention_heads;
  const theta = config.rope_parameters?.[type].rope_theta ??
    (type === "full_attention"
      ? config.global_rope_theta
      : config.local_rope_theta ?? config.global_rope_theta);
  const data = Float32Array.from(
    { length: headSize / 2 },
    (_, pair) => 1 / Math.fround(theta ** Math.fround(2 * pair / headSize)),
  );
  const { graph } = positions;
  const frequencies = graph.initializer(`frequencies of ${type}`, {
    type: "float32",
    shape: [1, data.length],
    data,
  });
  const angles = mul(reshape(positions, [positions.shape[0]!, 1]), frequencies);
  return { cosines: cos(angles), sines: sin(angles) };
}

/** The bias that masks tokens outside the local window, `[1, 1, length, length]`. */
function distanceBias(positions: Tensor, { local_attention }: ModernBertConfig): Tensor {
  const [length] = positions.shape;
  const distances = sub(reshape(positions, [length!, 1]), reshape(positions, [1, length!]));
  const away = add(relu(distances), relu(neg(distances)));
  const tooFar = relu(sub(away, Math.floor(local_attention / 2)));
  return reshape(mul(tooFar, -MASKED), [1, 1, length!, length!]);
}

/** Rotates pairs of numbers, the second half a head behind the first, by their angles. */
function rotated(x: Tensor, { cosines, sines }: LayerInputs): Tensor {
  const headSize = x.shape[3] as number;
  const [first, second] = [slice(x, 3, 0, headSize / 2), slice(x, 3, headSize / 2, headSize)];
  return concat([
    sub(mul(first, cosines), mul(second, sines)),
    add(mul(second, cosines), mul(first, sines)),
  ], 3);
}

function encoderLayer(
  x: Tensor,
  queries: Tensor,
  inputs: LayerInputs,
  index: number,
  options: GraphOptions<ModernBertConfig>,
): Tensor {
  const { config } = options;
  const { hidden_size, intermediate_size, norm_eps, norm_bias, mlp_bias } = config;
  const name = `model.layers.${index}`;
  const before = (x: Tensor, norm: string) =>
    normalization(x, `${name}.${norm}`, norm_eps, options, { bias: norm_bias });
  // The embeddings are already normalised.
  const normalized = index === 0 ? x : before(x, "attn_norm");
  const attended = add(
    queries,
    attention(normalized, queries === x ? "all" : "first", `${name}.attn`, inputs, options),
  );
  const both = linear(
    before(attended, "mlp_norm"),
    `${name}.mlp.Wi`,
    2 * intermediate_size,
    options,
    { bias: mlp_bias },
  );
  const [activated, gate] = [
    gelu(slice(both, 1, 0, intermediate_size)),
    slice(both, 1, intermediate_size, 2 * intermediate_size),
  ];
  const inner = drop(mul(activated, gate), config.mlp_dropout, options);
  const output = linear(inner, `${name}.mlp.Wo`, hidden_size, options, { bias: mlp_bias });
  return add(attended, output);
}

/** `[length*batch, hidden]` -> the same, or the rows of the first tokens alone. */
function attention(
  x: Tensor,
  wanted: WantedTokens,
  name: string,
  inputs: LayerInputs,
  options: GraphOptions<ModernBertConfig>,
): Tensor {
  const { config } = options;
  const { hidden_size: hidden, num_attention_heads: heads, attention_bias, attention_dropout } =
    config;
  const length = encodedLength(options);
  const all = linear(x, `${name}.Wqkv`, 3 * hidden, options, { bias: attention_bias });
  const part = (index: number) => slice(all, 1, index * hidden, (index + 1) * hidden);
  const key = rotated(splitHeads(part(1), length, heads), inputs);
  const value = splitHeads(part(2), length, heads);
  // The angles of the first position are 0.
  const query = wanted === "first"
    ? splitHeads(slice(part(0), 0, 0, "batch"), 1, heads)
    : rotated(splitHeads(part(0), length, heads), inputs);
  const { bias: ofAll } = inputs;
  const bias = wanted === "first" && ofAll.shape[2] !== 1 ? slice(ofAll, 2, 0, 1) : ofAll;
  const products = matMul(query, key, { transposeB: true });
  const scores = add(mul(products, 1 / Math.sqrt(hidden / heads)), bias);
  const context = weightedValues(scores, value, attention_dropout, options);
  const output = linear(context, `${name}.Wo`, hidden, options, { bias: attention_bias });
  return drop(output, attention_dropout, options);
}
