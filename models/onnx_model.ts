/**
 * The ONNX model of a trained classifier: the graph, with the weights as constants.
 *
 * @module
 */
import { Graph } from "../onnx/graph/graph.ts";
import { encodeModel } from "../onnx/graph/proto.ts";
import { quantizeWeights } from "../onnx/graph/quantize.ts";
import { elementCount } from "../onnx/graph/shape.ts";
import { familyOf, wordEmbeddings } from "./family.ts";
import type { ModelConfig } from "./formats/config.ts";
import { classifierLogits } from "./heads/classifier.ts";
import type { ParameterSource } from "./layers.ts";
import { frozenBase, parameterShapes } from "./parameters.ts";
import { type PeftConfig, tuned } from "./tuners/tuner.ts";
import type { Weights } from "./weights.ts";

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
