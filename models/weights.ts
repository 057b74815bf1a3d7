/**
 * The parameters of a classifier: their names and shapes, their initial values, and the graph that
 * holds trained ones as constants.
 *
 * @module
 */
import type { ParameterShape } from "../onnx/runtime/optimizer/adamw.ts";
import { Graph } from "../onnx/graph/graph.ts";
import { encodeModel } from "../onnx/graph/proto.ts";
import { quantizeWeights } from "../onnx/graph/quantize.ts";
import { Random } from "../lib/random.ts";
import { elementCount } from "../onnx/graph/shape.ts";
import { familyOf, isHeadParameter, isPoolerParameter, wordEmbeddings } from "./family.ts";
import type { ModelConfig } from "./formats/config.ts";
import { classifierLogits } from "./heads/classifier.ts";
import type { ParameterSource } from "./layers.ts";
import { isSaved } from "./tuners/modules_to_save.ts";
import { type PeftConfig, tuned } from "./tuners/tuner.ts";

/** Values by parameter name. */
export type Weights = Record<string, Float32Array>;

/** The type of an ONNX model's weights, under transformers.js' name: float32, or 8 bits. */
export type Dtype = "fp32" | "q8";

/** All types of weights. */
export const DTYPES: readonly Dtype[] = ["fp32", "q8"];

/** The ONNX models of a folder, where transformers.js looks for them. */
export const ONNX_FILES: Record<Dtype, string> = {
  fp32: "onnx/model.onnx",
  q8: "onnx/model_quantized.onnx",
};

const FLOAT_BYTES = Float32Array.BYTES_PER_ELEMENT;

/** Options of {@link exportModel}. */
export interface ExportOptions {
  /**
   * The parameters that were tuned beside the base, if it is not a whole model; their values are
   * among the weights.
   */
  peft?: PeftConfig;
  /** The type of the weights; float32 by default. */
  dtype?: Dtype;
  /** The digest of the weights' file, which the model holds under {@link WEIGHTS_SHA256}. */
  weightsSha256?: string | undefined;
}

/** The metadata key of an ONNX model that holds the digest of its weights. */
export const WEIGHTS_SHA256 = "weights_sha256";

/** The metadata of an ONNX model that was made from a file of weights. */
export function weightsMetadata(sha256: string): Record<string, string> {
  return { [WEIGHTS_SHA256]: sha256 };
}

/**
 * The parameters of a classifier in the order in which its graph uses them.
 *
 * @param peft The parameters that are tuned beside the base, if the whole model is not.
 */
export function parameterShapes(config: ModelConfig, peft?: PeftConfig): ParameterShape[] {
  const graph = new Graph();
  const parameters: ParameterShape[] = [];
  const parameter: ParameterSource = (name, shape) => {
    parameters.push({ name, shape });
    return graph.input(name, "float32", shape);
  };
  classifierLogits(graph, tuned({ config, parameter }, peft));
  return parameters;
}

/** The parameters of a classifier that its base also has: all but the head's. */
export function baseParameters(config: ModelConfig): ParameterShape[] {
  return parameterShapes(config).filter(({ name }) => !isHeadParameter(config, name));
}

/** The parameters of a classifier's head. */
export function headParameters(config: ModelConfig): ParameterShape[] {
  return parameterShapes(config).filter(({ name }) => isHeadParameter(config, name));
}

/** The parameters of a base's pooler; none if its family has no pooler. */
export function poolerParameters(config: ModelConfig): ParameterShape[] {
  return parameterShapes(config).filter(({ name }) => isPoolerParameter(config, name));
}

/** Whether an adapter has a pooler of its own. */
export function ownsPooler(config: ModelConfig, peft: PeftConfig): boolean {
  const parameters = poolerParameters(config);
  return parameters.length > 0 && parameters.every(({ name }) => isSaved(peft, name));
}

/** The parameters that an adapter trains whole: its head's, and those of a pooler of its own. */
export function savedParameters(config: ModelConfig, peft: PeftConfig): ParameterShape[] {
  const pooler = ownsPooler(config, peft) ? poolerParameters(config) : [];
  return [...pooler, ...headParameters(config)];
}

/** The names of the parameters that a frozen base keeps as they are. */
export function frozenBase(config: ModelConfig, peft?: PeftConfig): Set<string> {
  const frozen = new Set(baseParameters(config).map(({ name }) => name));
  if (peft !== undefined) {
    for (const { name } of savedParameters(config, peft)) frozen.delete(name);
  }
  return frozen;
}

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

/** The ONNX model of a trained classifier, as bytes. See {@link classifierGraph}. */
export function exportModel(
  config: ModelConfig,
  weights: Weights,
  options: ExportOptions = {},
): Uint8Array<ArrayBuffer> {
  const { weightsSha256 } = options;
  const metadata = weightsSha256 === undefined ? {} : weightsMetadata(weightsSha256);
  return encodeModel(classifierGraph(config, weights, options), { metadata });
}

/**
 * The graph of a trained classifier: int64 `input_ids`, `attention_mask` and `token_type_ids`,
 * `[batch, length]`, to float32 `logits`, `[batch, labels]`.
 */
export function classifierGraph(
  config: ModelConfig,
  weights: Weights,
  { peft, dtype = "fp32" }: ExportOptions = {},
): Graph {
  const graph = new Graph();
  const parameter: ParameterSource = (name, shape) =>
    graph.initializer(name, { type: "float32", shape, data: weights[name]! });
  const logits = classifierLogits(graph, tuned({ config, parameter }, peft));
  graph.output("logits", logits);
  if (dtype === "q8") quantizeEncoder(graph, config);
  return graph;
}

/** Quantises large and slow weights; the pooler, the head and virtual tokens stay as they are. */
export function quantizeEncoder(graph: Graph, config: ModelConfig): void {
  const base = frozenBase(config);
  quantizeWeights(graph, (name) => base.has(name) && isQuantized(config, name));
}

function isQuantized(config: ModelConfig, name: string): boolean {
  return name.startsWith(familyOf(config).names.layers) || name === wordEmbeddings(config);
}

/** The memory of a classifier's weights, in bytes. */
export function weightBytes(config: ModelConfig, dtype: Dtype = "fp32"): number {
  const bytes = parameterShapes(config).map(({ name, shape }) => {
    const isMatrix = shape.length === 2;
    // Each row has a scale.
    return dtype === "q8" && isMatrix && isQuantized(config, name)
      ? elementCount(shape) + shape[0]! * FLOAT_BYTES
      : elementCount(shape) * FLOAT_BYTES;
  });
  return bytes.reduce((sum, bytes) => sum + bytes, 0);
}
