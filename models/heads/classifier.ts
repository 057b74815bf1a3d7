/**
 * A classifier: an encoder, and the head of its family.
 *
 * @module
 */
import type { Graph, Tensor } from "../../onnx/graph/graph.ts";
import { familyOf } from "../family.ts";
import { labelsOf } from "../formats/config.ts";
import { drop, type GraphOptions, linear, meanOfTokens, type MixedTokens } from "../layers.ts";

/** The rows of a batch with models that were tuned on one base. */
export interface MixedRows extends MixedTokens {
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
  const pooled = pooledText(graph, options);
  if (mixedRows !== undefined) return mixedRows.heads(pooled);
  const labelCount = labelsOf(config).length;
  // Adapters have a head of their own.
  const headOptions = { ...options, project: undefined };
  const layers = familyOf(config).head(config);
  return layers.reduce((x, { name, dropout, activation }, index) => {
    const to = index === layers.length - 1 ? labelCount : x.shape[1] as number;
    const projected = linear(drop(x, dropout, options), name, to, headOptions);
    return activation?.(projected) ?? projected;
  }, pooled);
}

/** The vector of each text, `[batch, hidden]`. */
function pooledText(graph: Graph, options: GraphOptions): Tensor {
  const family = familyOf(options.config);
  const isMean = family.pooling?.(options.config) === "mean";
  const x = family.encoder(graph, options, isMean ? "all" : "first");
  const text = isMean ? meanOfTokens(x, options) : x;
  return family.pooler?.(text, options) ?? text;
}
