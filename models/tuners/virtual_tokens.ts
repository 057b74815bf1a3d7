/**
 * The common part of prefix-tuning and prompt tuning: trained vectors before each text.
 *
 * @module
 */
import { join } from "node:path";
import { z } from "zod";
import { checkRegular, exists } from "../../lib/files.ts";
import { whole } from "../../lib/number_schemas.ts";
import { UserError } from "../../lib/user_error.ts";
import { type EncoderSizes, familyOf } from "../family.ts";
import { type ModelConfig, size } from "../formats/config.ts";
import { ADAPTER_WEIGHTS_FILE } from "../formats/adapter_files.ts";
import { decodeSafetensors, type StoredTensor } from "../formats/safetensors.ts";
import type { PeftConfig } from "./tuner.ts";

/** The settings of a run that concern virtual tokens. */
export const VIRTUAL_TOKEN_SETTINGS = {
  prefixLength: whole(1, 512).default(16).describe("Virtual tokens of a prefix or prompt"),
  prefixProjection: z.boolean().default(false)
    .describe("Train a prefix through a network with one hidden layer, which is not kept"),
  prefixHiddenSize: whole(1, 16_384).default(512).describe("The width of that layer"),
  initFrom: z.string().optional().describe(
    "Where virtual tokens start: random, vocab (words of the vocabulary; only prompt, its " +
      "default), or an adapter's folder or safetensors file",
  ),
};

/** PEFT's configuration of all methods that learn virtual tokens. */
export interface VirtualTokenConfig extends PeftConfig {
  num_virtual_tokens: number;
  /** The base's hidden size. */
  token_dim: number;
  num_layers: number;
  num_attention_heads: number;
}

/** The part of `adapter_config.json` that {@link VirtualTokenConfig} is read from. */
export const VIRTUAL_TOKEN_CONFIG = {
  num_virtual_tokens: size,
  token_dim: size,
  num_layers: size,
  num_attention_heads: size,
};

/** The tensor of `adapter_model.safetensors` that holds virtual tokens. */
export const PROMPT_EMBEDDINGS = "prompt_embeddings";

/** The parameter that holds virtual tokens, or the embeddings that they are projected from. */
export const EMBEDDING = "prompt_encoder.embedding.weight";

/** The sizes of a base as PEFT names them. */
export function sizesOf(
  config: ModelConfig,
): Omit<VirtualTokenConfig, "peft_type" | "num_virtual_tokens"> {
  const { hidden_size, num_hidden_layers, num_attention_heads } = familyOf(config).sizes(config);
  return { token_dim: hidden_size, num_layers: num_hidden_layers, num_attention_heads };
}

/** The fault, if virtual tokens do not have the sizes of a base. */
export function sizeMisfit(config: VirtualTokenConfig, base: ModelConfig): string | undefined {
  const sizes: EncoderSizes = {
    hidden_size: config.token_dim,
    num_hidden_layers: config.num_layers,
    num_attention_heads: config.num_attention_heads,
  };
  const found = familyOf(base).sizes(base);
  for (const key of ["hidden_size", "num_hidden_layers", "num_attention_heads"] as const) {
    if (sizes[key] === found[key]) continue;
    return `it is for a ${key} of ${sizes[key]}, the base has ${found[key]}`;
  }
  return undefined;
}

/**
 * The virtual tokens of another adapter.
 *
 * @param shape `[num_virtual_tokens, size]`
 * @throws {UserError} If it has none, or of another shape.
 */
export async function storedTokens(path: string, shape: readonly number[]): Promise<Float32Array> {
  const inFolder = join(path, ADAPTER_WEIGHTS_FILE);
  const file = await exists(inFolder) ? inFolder : path;
  if (!await exists(file)) {
    throw new UserError(`Cannot take virtual tokens from ${path}: no such file`);
  }
  await checkRegular(file);
  const { tensors } = decodeSafetensors(await Deno.readFile(file), file);
  const tensor = tensors.get(PROMPT_EMBEDDINGS);
  if (tensor?.data instanceof Float32Array && String(tensor.shape) === String(shape)) {
    return tensor.data;
  }
  throw new UserError(
    `Cannot take virtual tokens from ${path}: its '${PROMPT_EMBEDDINGS}' must be floating-point ` +
      `[${shape}], ` + (tensor === undefined ? "there are none" : `got [${tensor.shape}]`),
  );
}

/** Virtual tokens as PEFT stores them. */
export function storedEmbeddings(
  { num_virtual_tokens }: VirtualTokenConfig,
  data: Float32Array,
): [string, StoredTensor] {
  return [PROMPT_EMBEDDINGS, {
    shape: [num_virtual_tokens, data.length / num_virtual_tokens],
    data,
  }];
}
