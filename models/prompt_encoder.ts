/**
 * What prefix-tuning and prompt tuning train beside a frozen base and its head. Parameters have the
 * names that PEFT gives them, without the adapter's.
 *
 * @module
 */
import type { ParameterShape } from "../onnx/runtime/optimizer/adamw.ts";
import { Random } from "../lib/random.ts";
import { elementCount } from "../onnx/graph/shape.ts";
import { gemm, reshape, tanh } from "../onnx/graph/operators.ts";
import { type EncoderSizes, familyOf } from "./family.ts";
import type { ModelConfig } from "./formats/config.ts";
import type { ParameterSource, VirtualTokens } from "./layers.ts";
import type { Weights } from "./weights.ts";

/** What stands before a text, and what it is made from; keys have PEFT's names. */
export interface PromptEncoder {
  /** `PREFIX_TUNING`: keys and values for every layer; `PROMPT_TUNING`: tokens at the input layer. */
  peft_type: "PREFIX_TUNING" | "PROMPT_TUNING";
  num_virtual_tokens: number;
  /** Whether a prefix is the output of a network with one hidden layer (tanh). */
  prefix_projection: boolean;
  /** The width of that layer. */
  encoder_hidden_size: number;
}

/** The parameter that holds virtual tokens, or what they are projected from. */
export const EMBEDDING = "prompt_encoder.embedding.weight";
const HIDDEN_LAYER = "prompt_encoder.transform.0";
const OUTPUT_LAYER = "prompt_encoder.transform.2";

/** Appends the virtual tokens as a function of their parameters. */
export function virtualTokens(
  encoder: PromptEncoder,
  config: ModelConfig,
  parameter: ParameterSource,
): VirtualTokens {
  const [embedding, ...others] = promptEncoderShapes(encoder, config).map(({ name, shape }) =>
    parameter(name, shape)
  );
  if (encoder.peft_type === "PROMPT_TUNING") return { prompt: embedding! };
  const [hiddenWeight, hiddenBias, outputWeight, outputBias] = others;
  const values = hiddenWeight === undefined ? embedding! : gemm(
    tanh(gemm(embedding!, hiddenWeight, hiddenBias, { transposeB: true })),
    outputWeight!,
    outputBias,
    { transposeB: true },
  );
  return { prefix: reshape(values, [1, ...values.shape]) };
}

/** The parameters behind the virtual tokens. */
export function promptEncoderShapes(
  { peft_type, num_virtual_tokens, prefix_projection, encoder_hidden_size }: PromptEncoder,
  config: ModelConfig,
): (ParameterShape & { shape: number[] })[] {
  const sizes = familyOf(config).sizes(config);
  const { hidden_size: hidden } = sizes;
  const width = virtualTokenSize(peft_type, sizes);
  if (!prefix_projection) return [{ name: EMBEDDING, shape: [num_virtual_tokens, width] }];
  return [
    { name: EMBEDDING, shape: [num_virtual_tokens, hidden] },
    { name: `${HIDDEN_LAYER}.weight`, shape: [encoder_hidden_size, hidden] },
    { name: `${HIDDEN_LAYER}.bias`, shape: [encoder_hidden_size] },
    { name: `${OUTPUT_LAYER}.weight`, shape: [width, encoder_hidden_size] },
    { name: `${OUTPUT_LAYER}.bias`, shape: [width] },
  ];
}

/** How many values a virtual token has. */
export function virtualTokenSize(
  peftType: PromptEncoder["peft_type"],
  { hidden_size, num_hidden_layers }: EncoderSizes,
): number {
  return peftType === "PREFIX_TUNING" ? 2 * num_hidden_layers * hidden_size : hidden_size;
}

/**
 * Random initial values, as PyTorch draws them: embeddings from the standard normal distribution,
 * layers uniformly from ±1/√inputs.
 */
export function initialPromptEncoder(
  encoder: PromptEncoder,
  config: ModelConfig,
  seed: number,
): Weights {
  const random = new Random(seed, 1);
  const inputs: Record<string, number> = {
    [HIDDEN_LAYER]: familyOf(config).sizes(config).hidden_size,
    [OUTPUT_LAYER]: encoder.encoder_hidden_size,
  };
  return Object.fromEntries(
    promptEncoderShapes(encoder, config).map(({ name, shape }) => {
      const limit = 1 / Math.sqrt(inputs[name.replace(/\.\w+$/, "")] ?? 0);
      const draw = name === EMBEDDING
        ? () => random.normal()
        : () => (2 * random.uniform() - 1) * limit;
      return [name, Float32Array.from({ length: elementCount(shape) }, draw)];
    }),
  );
}

/** The values of the virtual tokens themselves, `[num_virtual_tokens, size]`, projected where they are. */
export function promptEmbeddings(
  { num_virtual_tokens, prefix_projection }: PromptEncoder,
  weights: Weights,
): Float32Array {
  const embedding = weights[EMBEDDING]!;
  if (!prefix_projection) return embedding;
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
