/**
 * The graphs of a model in pretraining: the loss with its gradients, and the losses of masked tokens
 * for evaluation.
 *
 * @module
 */
import { familyOf } from "../../models/family.ts";
import type { ModelConfig } from "../../models/formats/config.ts";
import { pooled } from "../../models/heads/classifier.ts";
import { distillationLosses, maskedTokenLosses } from "../../models/heads/masked_language_model.ts";
import { firstTokens, type ParameterSource } from "../../models/layers.ts";
import type { ParameterShape } from "../../onnx/runtime/optimizer/adamw.ts";
import { Dropout } from "../../onnx/graph/dropout.ts";
import { outputGradients } from "../../onnx/graph/gradient.ts";
import { Graph, type Tensor } from "../../onnx/graph/graph.ts";
import { tensorLifetimes } from "../../onnx/graph/memory.ts";
import { add, mul, reduceSum } from "../../onnx/graph/operators.ts";
import type { PlannedGraphs } from "../parts.ts";
import { LOSS } from "../../onnx/runtime/optimizer/parameters.ts";
import { encodeModel } from "../../onnx/graph/proto.ts";

/** The teacher's embeddings that a model in pretraining learns beside the masked tokens. */
export interface Distillation {
  /** The size of the teacher's embeddings. */
  size: number;
  /** The weight of their squared distance beside the loss of the masked tokens. */
  weight: number;
}

/**
 * Builds both graphs. Beside the encoder's own inputs they take `masked_positions` and
 * `masked_labels`, int64 `[masked]`; the training graph also `masked_weights`, float32 `[masked]`,
 * by which the losses of the masked tokens are added up, and with a teacher `teacher_embeddings`,
 * float32 `[batch, size]`, and `text_weights`, float32 `[batch]`, for its part of the loss. The graph
 * for evaluation gives `losses`, `[masked]`.
 *
 * @param gradientCheckpointing Whether only the inputs of layers are kept for the backward pass.
 */
export function pretrainingGraphs(
  config: ModelConfig,
  distillation?: Distillation,
  gradientCheckpointing: boolean = false,
): PlannedGraphs {
  const graph = new Graph({ derivedInputs: true });
  const { parameter, parameters, tensors } = parametersOf(graph);
  const dropout = new Dropout(graph);
  const checkpoints = gradientCheckpointing ? new Set<Tensor>() : undefined;
  const family = familyOf(config);
  const options = { config, parameter, dropout, checkpoints };
  const x = family.encoder(graph, options, "all");
  const losses = maskedTokenLosses(x, maskedInputs(graph), options);
  const weights = graph.input("masked_weights", "float32", ["masked"]);
  let loss = reduceSum(mul(losses, weights), [0]);
  if (distillation !== undefined) {
    const { size, weight } = distillation;
    const targets = graph.input("teacher_embeddings", "float32", ["batch", size]);
    const textWeights = graph.input("text_weights", "float32", ["batch"]);
    const distances = distillationLosses(
      pooled(firstTokens(x, "length"), options),
      targets,
      options,
    );
    loss = add(loss, mul(reduceSum(mul(distances, textWeights), [0]), weight));
  }
  graph.output(LOSS, loss);
  const gradients = outputGradients(graph, loss, [...tensors.values()], checkpoints);
  return {
    training: encodeModel(graph, { backwards: true }),
    inference: evaluationGraph(config),
    parameters,
    gradients,
    dropout: dropout.sites,
    lifetimes: tensorLifetimes(graph),
  };
}

function evaluationGraph(config: ModelConfig): Uint8Array {
  const graph = new Graph();
  const { parameter } = parametersOf(graph);
  const options = { config, parameter };
  const x = familyOf(config).encoder(graph, options, "all");
  graph.output("losses", maskedTokenLosses(x, maskedInputs(graph), options));
  return encodeModel(graph);
}

/** Parameters as inputs of a graph, each of them once however often it is used. */
function parametersOf(graph: Graph) {
  const parameters: ParameterShape[] = [];
  const byName = new Map<string, Tensor>();
  const parameter: ParameterSource = (name, shape) => {
    const known = byName.get(name);
    if (known !== undefined) return known;
    const tensor = graph.input(name, "float32", shape);
    byName.set(name, tensor);
    parameters.push({ name, shape });
    return tensor;
  };
  return { parameter, parameters, tensors: byName };
}

function maskedInputs(graph: Graph) {
  return {
    positions: graph.input("masked_positions", "int64", ["masked"]),
    labels: graph.input("masked_labels", "int64", ["masked"]),
  };
}
