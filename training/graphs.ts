/**
 * The graphs of a model in training: the loss with its gradients, and the logits for evaluation.
 *
 * @module
 */
import { classifierLogits } from "../models/heads/classifier.ts";
import type { ParameterSource } from "../models/layers.ts";
import { type ModelConfig, problemOf } from "../models/formats/config.ts";
import type { ParameterShape } from "../onnx/runtime/optimizer/adamw.ts";
import { Dropout } from "../onnx/graph/dropout.ts";
import { outputGradients } from "../onnx/graph/gradient.ts";
import { Graph, type Tensor } from "../onnx/graph/graph.ts";
import { tensorLifetimes } from "../onnx/graph/memory.ts";
import { mul, reduceSum } from "../onnx/graph/operators.ts";
import type { PlannedGraphs } from "./parts.ts";
import { LOSS } from "../onnx/runtime/optimizer/parameters.ts";
import { encodeModel } from "../onnx/graph/proto.ts";
import { type PeftConfig, tuned } from "../models/tuners/tuner.ts";
import { appendLoss } from "./loss.ts";

/**
 * Builds both graphs. Beside the model's own inputs the training graph takes `labels`, float32
 * `[batch, labels]`, and `example_weights`, float32 `[batch]`; the loss is the sum of the examples'
 * losses times their weights, so that weights of `1 / batch` give the mean.
 *
 * @param frozen The names of the parameters that are not trained; they cost no gradient.
 * @param peft The adapter that is tuned on a frozen base, unless the whole model is.
 * @param gradientCheckpointing Whether only the inputs of layers are kept for the backward pass.
 */
export function trainingGraphs(
  config: ModelConfig,
  frozen: ReadonlySet<string> = new Set(),
  peft?: PeftConfig,
  gradientCheckpointing: boolean = false,
): PlannedGraphs {
  const graph = new Graph({ derivedInputs: true });
  const trained: Tensor[] = [];
  const parameters: ParameterShape[] = [];
  const dropout = new Dropout(graph);
  const checkpoints = gradientCheckpointing ? new Set<Tensor>() : undefined;
  const parameter: ParameterSource = (name, shape) => {
    const tensor = graph.input(name, "float32", shape);
    parameters.push({ name, shape });
    if (!frozen.has(name)) trained.push(tensor);
    return tensor;
  };
  const logits = classifierLogits(
    graph,
    tuned({ config, dropout, parameter, checkpoints }, peft),
  );
  const labels = graph.input("labels", "float32", logits.shape);
  const exampleWeights = graph.input("example_weights", "float32", ["batch"]);
  const exampleLosses = appendLoss(logits, labels, problemOf(config).problemType);
  const loss = reduceSum(mul(exampleLosses, exampleWeights), [0]);
  graph.output(LOSS, loss);

  const gradients = outputGradients(graph, loss, trained, checkpoints);
  return {
    training: encodeModel(graph, { backwards: true }),
    inference: inferenceGraph(config, peft),
    parameters,
    gradients,
    dropout: dropout.sites,
    lifetimes: tensorLifetimes(graph),
  };
}

/** The graph of the logits as a function of the same parameters, without dropout. */
function inferenceGraph(config: ModelConfig, peft: PeftConfig | undefined): Uint8Array {
  const graph = new Graph();
  const parameter: ParameterSource = (name, shape) => graph.input(name, "float32", shape);
  const logits = classifierLogits(graph, tuned({ config, parameter }, peft));
  graph.output("logits", logits);
  return encodeModel(graph);
}
