/**
 * The weights of a model, and those from which training starts.
 *
 * @module
 */
import { Random } from "../lib/random.ts";
import { elementCount } from "../onnx/graph/shape.ts";
import type { ParameterShape } from "../onnx/runtime/optimizer/adamw.ts";
import { wordEmbeddings } from "./family.ts";
import type { ModelConfig } from "./formats/config.ts";
import { parameterShapes } from "./parameters.ts";

/** Values by parameter name. */
export type Weights = Record<string, Float32Array>;

/**
 * Random initial weights, as transformers draws them: normal with deviation `initializer_range`,
 * biases 0, layer normalisation 1, and the embedding of padding 0.
 *
 * @param parameters The parameters to initialise; all by default.
 */
export function initialWeights(
  config: ModelConfig,
  seed: number,
  parameters: readonly ParameterShape[] = parameterShapes(config),
): Weights {
  const random = new Random(seed);
  const weights: Weights = {};
  for (const { name, shape } of parameters) {
    const values = new Float32Array(elementCount(shape));
    // A weight vector scales a normalised input.
    if (name.endsWith(".weight") && shape.length === 1) values.fill(1);
    else if (name.endsWith(".weight")) {
      for (let i = 0; i < values.length; i++) {
        values[i] = random.normal() * config.initializer_range;
      }
    }
    if (name === wordEmbeddings(config)) {
      const width = shape[1]!;
      values.fill(0, config.pad_token_id * width, (config.pad_token_id + 1) * width);
    }
    weights[name] = values;
  }
  return weights;
}
