import { deepStrictEqual } from "node:assert";
import { scratchConfig } from "../models/scratch.ts";
import type { PrefixConfig } from "../models/tuners/prefix.ts";
import type { PromptConfig } from "../models/tuners/prompt.ts";
import { frozenBase } from "../models/parameters.ts";
import { operatorsOf } from "../tests/support/devices.ts";
import { trainingGraphs } from "./graphs.ts";

const CONFIG = scratchConfig("tiny", 100, "classifier");
const HEAD = ["classifier.weight", "classifier.bias"];

/** The number of matrix products of a training step, and the parameters that have a gradient. */
function step(peft?: PrefixConfig | PromptConfig) {
  const frozen = peft && frozenBase(CONFIG);
  const { training, gradients } = trainingGraphs(CONFIG, frozen, peft);
  const products = operatorsOf(training).filter((operator) => operator === "Gemm").length;
  return { products, trained: gradients.map(({ parameter }) => parameter) };
}

const PREFIX: PrefixConfig = {
  peft_type: "PREFIX_TUNING",
  num_virtual_tokens: 4,
  token_dim: CONFIG.hidden_size,
  num_layers: CONFIG.num_hidden_layers,
  num_attention_heads: CONFIG.num_attention_heads,
  prefix_projection: false,
  encoder_hidden_size: 8,
};

Deno.test("trainingGraphs() computes no weight gradient of a frozen base", () => {
  // Forward: six products a layer, the pooler and the head. A full step has two more for each, and
  // one for each of the layer normalisations; the input has one, too.
  const forward = 6 * CONFIG.num_hidden_layers + 2;
  const normalizations = 2 * CONFIG.num_hidden_layers;
  deepStrictEqual(step().products, 3 * forward + normalizations + 1);
  // A prompt has one more for each, on the way to the input, and one for the head's weight.
  deepStrictEqual(step({ ...PREFIX, peft_type: "PROMPT_TUNING" }), {
    products: 2 * forward + 1 + normalizations + 1,
    trained: ["prompt_encoder.embedding.weight", ...HEAD],
  });
  // A prefix ends at the first layer's keys and values; the products before these are spared.
  deepStrictEqual(step(PREFIX), {
    products: 2 * forward + 1 - 3 + normalizations,
    trained: ["prompt_encoder.embedding.weight", ...HEAD],
  });
  // The projection has two layers, forward and with all gradients.
  deepStrictEqual(
    step({ ...PREFIX, prefix_projection: true }).products,
    2 * forward - 2 + normalizations + 6,
  );
});
