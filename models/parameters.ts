/**
 * The parameters of a classifier, by name and shape: all, and those of its parts.
 *
 * @module
 */
import { Graph } from "../onnx/graph/graph.ts";
import type { ParameterShape } from "../onnx/runtime/optimizer/adamw.ts";
import { isHeadParameter, isPoolerParameter } from "./family.ts";
import type { ModelConfig } from "./formats/config.ts";
import { classifierLogits } from "./heads/classifier.ts";
import type { ParameterSource } from "./layers.ts";
import { isSaved } from "./tuners/modules_to_save.ts";
import { type PeftConfig, tuned } from "./tuners/tuner.ts";

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
