/**
 * Prefix-tuning (Li and Liang, 2021; for encoders P-tuning v2, Liu et al., 2022): keys and values
 * of virtual tokens in every layer, before those of a text.
 *
 * @module
 */
import { z } from "zod";
import { Random } from "../../lib/random.ts";
import { gemm, reshape, tanh } from "../../onnx/graph/operators.ts";
import { elementCount } from "../../onnx/graph/shape.ts";
import type { ParameterShape } from "../../onnx/runtime/optimizer/adamw.ts";
import { familyOf } from "../family.ts";
import { BUNDLED_MODEL } from "../own_models.ts";
import type { Weights } from "../weights.ts";
import { frozenBaseFaults } from "./frozen_base.ts";
import type { AdapterMethod, Tuner } from "./tuner.ts";
import {
  EMBEDDING,
  PROMPT_EMBEDDINGS,
  sizeMisfit,
  sizesOf,
  storedEmbeddings,
  storedTokens,
  VIRTUAL_TOKEN_CONFIG,
  type VirtualTokenConfig,
} from "./virtual_tokens.ts";

/** A prefix, or the embeddings behind it; keys are those of PEFT's `PrefixTuningConfig`. */
export interface PrefixConfig extends VirtualTokenConfig {
  peft_type: "PREFIX_TUNING";
  /** Whether the prefix is computed by a network with one hidden layer (tanh). */
  prefix_projection: boolean;
  /** The width of that layer. */
  encoder_hidden_size: number;
}

const HIDDEN_LAYER = "prompt_encoder.transform.0";
const OUTPUT_LAYER = "prompt_encoder.transform.2";

const method: AdapterMethod<PrefixConfig> = {
  peftType: "PREFIX_TUNING",
  describe: ({ prefixLength }) =>
    `${prefixLength} virtual tokens (keys and values for every layer)`,
  peftVersions:
    'PEFT 0.21 needs a transformers below 5.24 for prefix tuning: `pip install "transformers<5.24"`',
  savesModules: false,

  configOf: ({ prefixLength, prefixProjection, prefixHiddenSize }, base) => ({
    peft_type: "PREFIX_TUNING",
    num_virtual_tokens: prefixLength,
    ...sizesOf(base),
    prefix_projection: prefixProjection,
    encoder_hidden_size: prefixHiddenSize,
  }),
  misfit: (config, base) => {
    if (familyOf(base).takesPrefix) return sizeMisfit(config, base);
    return `keys and values cannot stand before a text in a model of type '${base.model_type}'; ` +
      "use mode lora or prompt";
  },
  virtualTokens: ({ num_virtual_tokens }) => num_virtual_tokens,
  changes: (config, { parameter }) => {
    const [embedding, hiddenWeight, hiddenBias, outputWeight, outputBias] = parameterShapes(config)
      .map(({ name, shape }) => parameter(name, shape));
    const values = hiddenWeight === undefined ? embedding! : gemm(
      tanh(gemm(embedding!, hiddenWeight, hiddenBias, { transposeB: true })),
      outputWeight!,
      outputBias,
      { transposeB: true },
    );
    return { virtualTokens: { prefix: reshape(values, [1, ...values.shape]) } };
  },
  initialWeights: async (config, _base, { initFrom = "random", seed }) => {
    if (initFrom === "random") return randomWeights(config, seed);
    const shape = [config.num_virtual_tokens, prefixWidth(config)];
    return { [EMBEDDING]: await storedTokens(initFrom, shape) };
  },

  // A prefix is stored without the network behind it.
  stored: z.object({ peft_type: z.literal("PREFIX_TUNING"), ...VIRTUAL_TOKEN_CONFIG })
    .transform((config) => ({ ...config, prefix_projection: false, encoder_hidden_size: 0 })),
  storedConfig: ({ prefix_projection, encoder_hidden_size, ...config }) => ({
    ...config,
    num_transformer_submodules: 1,
    prefix_projection,
    encoder_hidden_size: prefix_projection ? encoder_hidden_size : null,
  }),
  baseModelPrefix: "base_model.",
  toStored: (config, weights) => [storedEmbeddings(config, projected(config, weights))],
  fromStored: (config, tensors) => ({
    [EMBEDDING]: tensors.read(PROMPT_EMBEDDINGS, [config.num_virtual_tokens, prefixWidth(config)]),
  }),

  bankRows: (config, _base, weights) => ({
    prefixes: { width: prefixWidth(config), values: weights[EMBEDDING]! },
  }),
};

/** See {@link Tuner}. */
export const prefix: Tuner = {
  mode: "prefix",
  trains: "keys and values for every layer",
  faults: (settings) => {
    const { prefixProjection, initFrom } = settings;
    const faults = frozenBaseFaults("prefix", settings);
    if (initFrom === "vocab") {
      faults.push({
        key: "initFrom",
        message: "words are no keys and values; it goes with",
        needs: { key: "mode", value: "prompt" },
      });
    }
    if (prefixProjection && initFrom !== undefined && initFrom !== "random") {
      faults.push({ key: "initFrom", message: "a projection starts from random values" });
    }
    return faults;
  },
  defaults: ({ prefixProjection, model }) => {
    // At 1e-3 the network drives the prefix so far that texts no longer matter.
    if (prefixProjection) return { learningRate: 1e-4, epochs: 20 };
    // As in P-tuning v2 (Liu et al., 2022): the trained part is small and starts from nothing.
    return model === BUNDLED_MODEL
      ? { learningRate: 4e-2, epochs: 30 }
      : { learningRate: 2e-2, epochs: 20 };
  },
  method,
};

/** The number of values of a virtual token of a prefix. */
export function prefixWidth(
  { token_dim, num_layers }: Pick<VirtualTokenConfig, "token_dim" | "num_layers">,
): number {
  return 2 * num_layers * token_dim;
}

/** The parameters behind a prefix. */
function parameterShapes(config: PrefixConfig): ParameterShape[] {
  const { num_virtual_tokens, prefix_projection, encoder_hidden_size, token_dim } = config;
  const width = prefixWidth(config);
  if (!prefix_projection) return [{ name: EMBEDDING, shape: [num_virtual_tokens, width] }];
  return [
    { name: EMBEDDING, shape: [num_virtual_tokens, token_dim] },
    { name: `${HIDDEN_LAYER}.weight`, shape: [encoder_hidden_size, token_dim] },
    { name: `${HIDDEN_LAYER}.bias`, shape: [encoder_hidden_size] },
    { name: `${OUTPUT_LAYER}.weight`, shape: [width, encoder_hidden_size] },
    { name: `${OUTPUT_LAYER}.bias`, shape: [width] },
  ];
}

/**
 * Random values, as PyTorch draws them: embeddings from the standard normal distribution, layers
 * uniformly from ±1/√inputs.
 */
function randomWeights(config: PrefixConfig, seed: number): Weights {
  const random = new Random(seed, 1);
  const inputs: Record<string, number> = {
    [HIDDEN_LAYER]: config.token_dim,
    [OUTPUT_LAYER]: config.encoder_hidden_size,
  };
  return Object.fromEntries(
    parameterShapes(config).map(({ name, shape }) => {
      const limit = 1 / Math.sqrt(inputs[name.replace(/\.\w+$/, "")] ?? 0);
      const draw = name === EMBEDDING
        ? () => random.normal()
        : () => (2 * random.uniform() - 1) * limit;
      return [name, Float32Array.from({ length: elementCount(shape) }, draw)];
    }),
  );
}

/** The values of a prefix itself, `[num_virtual_tokens, width]`. */
function projected(config: PrefixConfig, weights: Weights): Float32Array {
  const embedding = weights[EMBEDDING]!;
  if (!config.prefix_projection) return embedding;
  const { num_virtual_tokens } = config;
  const hidden = layer(embedding, num_virtual_tokens, weights, HIDDEN_LAYER).map(Math.tanh);
  return layer(hidden, num_virtual_tokens, weights, OUTPUT_LAYER);
}

/** `x [rows, from]` times a layer's weights `[to, from]`, plus its bias. */
function layer(x: Float32Array, rows: number, weights: Weights, name: string): Float32Array {
  const [weight, bias] = [weights[`${name}.weight`]!, weights[`${name}.bias`]!];
  const [from, to] = [x.length / rows, bias.length];
  const result = new Float32Array(rows * to);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < to; column++) {
      let sum = bias[column]!;
      for (let i = 0; i < from; i++) sum += x[row * from + i]! * weight[column * from + i]!;
      result[row * to + column] = sum;
    }
  }
  return result;
}
