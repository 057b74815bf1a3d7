/**
 * Prompt tuning (Lester et al., 2021): embeddings of virtual tokens before those of a text.
 *
 * @module
 */
import { familyOf } from "../family.ts";
import { z } from "zod";
import { Random } from "../../lib/random.ts";
import { wordEmbeddings } from "../family.ts";
import { frozenBaseFaults } from "./frozen_base.ts";
import type { AdapterMethod, KnownBase, Tuner } from "./tuner.ts";
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

/** A prompt; keys are those of PEFT's `PromptTuningConfig`. */
export interface PromptConfig extends VirtualTokenConfig {
  peft_type: "PROMPT_TUNING";
}

const method: AdapterMethod<PromptConfig> = {
  peftType: "PROMPT_TUNING",
  describe: ({ prefixLength }) => `${prefixLength} virtual tokens (embeddings at the input)`,
  peftVersions: "this was checked with PEFT 0.21 and transformers 5.24",
  savesModules: false,

  configOf: ({ prefixLength }, base) => ({
    peft_type: "PROMPT_TUNING",
    num_virtual_tokens: prefixLength,
    ...sizesOf(base),
  }),
  misfit: (config, base) => {
    const { hidden_size, embedding_size = hidden_size } = familyOf(base).sizes(base);
    if (embedding_size === hidden_size) return sizeMisfit(config, base);
    return `a prompt is as wide as the layers, ${hidden_size}, and its embeddings are ` +
      `${embedding_size} wide; use mode lora or prefix`;
  },
  virtualTokens: ({ num_virtual_tokens }) => num_virtual_tokens,
  changes: (config, { parameter }) => ({
    virtualTokens: { prompt: parameter(EMBEDDING, shapeOf(config)) },
  }),
  initialWeights: async (config, base, { initFrom = "vocab", seed }) => ({
    [EMBEDDING]: initFrom === "random"
      ? randomTokens(config, seed)
      : initFrom === "vocab"
      ? randomWords(config, base, seed)
      : await storedTokens(initFrom, shapeOf(config)),
  }),

  stored: z.object({ peft_type: z.literal("PROMPT_TUNING"), ...VIRTUAL_TOKEN_CONFIG }),
  storedConfig: (config) => ({ ...config, num_transformer_submodules: 1 }),
  baseModelPrefix: "base_model.",
  toStored: (config, weights) => [storedEmbeddings(config, weights[EMBEDDING]!)],
  fromStored: (config, tensors) => ({
    [EMBEDDING]: tensors.read(PROMPT_EMBEDDINGS, shapeOf(config)),
  }),

  bankRows: ({ token_dim }, _base, weights) => ({
    prompts: { width: token_dim, values: weights[EMBEDDING]! },
  }),
};

/** See {@link Tuner}. */
export const prompt: Tuner = {
  mode: "prompt",
  trains: "embeddings at the input",
  faults: (settings) => {
    const faults = frozenBaseFaults("prompt", settings);
    if (settings.prefixProjection) {
      faults.push({
        key: "prefixProjection",
        message: "a prompt has none; it goes with",
        needs: { key: "mode", value: "prefix" },
      });
    }
    return faults;
  },
  defaults: () => ({ learningRate: 1e-2, epochs: 20 }),
  method,
};

function shapeOf({ num_virtual_tokens, token_dim }: VirtualTokenConfig): [number, number] {
  return [num_virtual_tokens, token_dim];
}

/** Values from the standard normal distribution, as PyTorch draws embeddings. */
function randomTokens(config: PromptConfig, seed: number): Float32Array {
  const random = new Random(seed, 1);
  const [count, width] = shapeOf(config);
  return Float32Array.from({ length: count * width }, () => random.normal());
}

/** Embeddings of words drawn from the vocabulary, like PEFT's `SAMPLE_VOCAB`. */
function randomWords(
  config: PromptConfig,
  base: KnownBase,
  seed: number,
): Float32Array {
  const random = new Random(seed, 1);
  const words = base.weights[wordEmbeddings(base.config)]!;
  const [count, width] = shapeOf(config);
  const tokens = new Float32Array(count * width);
  for (let token = 0; token < count; token++) {
    const word = random.integer(base.config.vocab_size);
    tokens.set(words.subarray(word * width, (word + 1) * width), token * width);
  }
  return tokens;
}
