/**
 * A classifier: an encoder, and the head of its family.
 *
 * @module
 */
import type { Graph, Tensor } from "../../onnx/graph/graph.ts";
import { familyOf, type HeadLayer } from "../family.ts";
import { labelsOf } from "../formats/config.ts";
import { type GraphOptions, headLayer, meanOfTokens, type MixedTokens } from "../layers.ts";

/** The rows of a batch with models that were tuned on one base. */
export interface MixedRows extends MixedTokens {
  /** A pooler with the parameters of each text, `[batch, hidden]`; absent if all have the base's. */
  pooler?: ((x: Tensor, layer: HeadLayer) => Tensor) | undefined;
  /** The logits of the vector of each text, `[batch, hidden]`. */
  heads(pooled: Tensor): Tensor;
}

/** The inputs of the graph of a classifier. */
export interface ClassifierGraphOptions extends GraphOptions {
  mixedRows?: MixedRows | undefined;
}

/**
 * Appends a classifier with the inputs of its encoder, int64 `[batch, length]`.
 *
 * @returns The logits, `[batch, labels]`.
 */
export function classifierLogits(graph: Graph, options: ClassifierGraphOptions): Tensor {
  const { config, mixedRows } = options;
  const text = pooledText(graph, options);
  if (mixedRows !== undefined) return mixedRows.heads(text);
  const labelCount = labelsOf(config).length;
  // Adapters have a head of their own.
  const headOptions = { ...options, project: undefined };
  const layers = familyOf(config).head(config);
  return layers.reduce((x, layer, index) => {
    const to = index === layers.length - 1 ? labelCount : x.shape[1] as number;
    return headLayer(x, layer, to, headOptions);
  }, text);
}

/** The vector of each text, `[batch, hidden]`. */
function pooledText(graph: Graph, options: ClassifierGraphOptions): Tensor {
  const family = familyOf(options.config);
  const isMean = family.pooling?.(options.config) === "mean";
  const x = family.encoder(graph, options, isMean ? "all" : "first");
  return pooled(isMean ? meanOfTokens(x, options) : x, options);
}

/** The output of the pooler for the vector of each text, `[batch, hidden]`, if there is a pooler. */
export function pooled(x: Tensor, options: ClassifierGraphOptions): Tensor {
  const layer = familyOf(options.config).pooler?.(options.config);
  if (layer === undefined) return x;
  return options.mixedRows?.pooler?.(x, layer) ??
    headLayer(x, layer, x.shape[1] as number, options);
}
