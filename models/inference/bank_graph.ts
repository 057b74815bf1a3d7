/**
 * The graph of a base with many adapters, which gathers the values of each text's adapter from
 * tables.
 *
 * @module
 */
import { Graph, type Tensor } from "../../onnx/graph/graph.ts";
import {
  add,
  expand,
  gather,
  layerNormalization,
  matMul,
  mul,
  reshape,
  slice,
} from "../../onnx/graph/operators.ts";
import { encodeModel } from "../../onnx/graph/proto.ts";
import type { Dimension } from "../../onnx/graph/shape.ts";
import { familyOf, type HeadLayer } from "../family.ts";
import type { ModelConfig } from "../formats/config.ts";
import { classifierLogits } from "../heads/classifier.ts";
import type { Projection } from "../layers.ts";
import { mixedProjection } from "../tuners/lora.ts";
import { type Dtype, quantizeEncoder } from "../onnx_model.ts";
import type { Weights } from "../weights.ts";
import { type ByTable, headTable, indicesOf, POOLERS, PREFIXES, PROMPTS } from "./bank_tables.ts";

/**
 * The ONNX model of a base whose rows take values from tables.
 *
 * @param widths The tables, with the number of values of a row.
 */
export function bankModel(
  config: ModelConfig,
  weights: Weights,
  dtype: Dtype,
  widths: ByTable<number>,
): Uint8Array {
  const graph = new Graph();
  /** `[batch, count, width]` */
  const gathered = (table: string, count: Dimension) =>
    gather(
      graph.input(table, "float32", [`${table}_rows`, widths.get(table)!]),
      graph.input(indicesOf(table), "int64", ["batch", count]),
    );
  const prefix = widths.has(PREFIXES) ? gathered(PREFIXES, "prefix") : undefined;
  const changes = new Map<string, Tensor>();
  const project = mixedProjection(config, (table) => {
    if (!widths.has(table)) return undefined;
    const known = changes.get(table) ?? gathered(table, `${table}_rank`);
    changes.set(table, known);
    return known;
  });
  const logits = classifierLogits(graph, {
    config,
    parameter: (name, shape) =>
      graph.initializer(name, { type: "float32", shape, data: weights[name]! }),
    virtualTokens: prefix && { prefix },
    project,
    mixedRows: {
      positionIds: graph.input("position_ids", "int64", ["batch", "length"]),
      prefixMask: graph.input("prefix_mask", "float32", ["batch", "prefix"]),
      withPrompts: (words) => {
        const mask = graph.input("word_mask", "float32", ["batch", "length"]);
        return add(mul(words, reshape(mask, ["batch", "length", 1])), gathered(PROMPTS, "length"));
      },
      pooler: widths.has(POOLERS)
        ? (x, layer) => mixedLayer(x, layer, gathered(POOLERS, x.shape[1]!), project)
        : undefined,
      heads: (pooled) => {
        const layers = familyOf(config).head(config);
        return layers.reduce((x, layer, index) => {
          const to = index === layers.length - 1 ? "labels" : x.shape[1]!;
          return mixedLayer(x, layer, gathered(headTable(index), to));
        }, pooled);
      },
    },
  });
  graph.output("logits", logits);
  if (dtype === "q8") quantizeEncoder(graph, config);
  return encodeModel(graph);
}

/**
 * A layer with the parameters of each text: `x [batch, from]` -> `[batch, to]`.
 *
 * @param rows As {@link layerRows} has them, `[batch, to, width]`.
 * @param project Changes the output of the layer.
 */
function mixedLayer(
  x: Tensor,
  { name, activation, norm }: HeadLayer,
  rows: Tensor,
  project?: Projection,
): Tensor {
  const from = x.shape[1] as number;
  const to = rows.shape[1]!;
  const column = (place: number) => slice(rows, 2, from + place, from + place + 1);
  const products = matMul(slice(rows, 2, 0, from), reshape(x, ["batch", from, 1]));
  const sums = reshape(add(products, column(0)), ["batch", to]);
  const projected = project?.(sums, x, name) ?? sums;
  const activated = activation?.(projected) ?? projected;
  if (norm === undefined) return activated;
  const constants = (value: number) => expand(x.graph.scalar(value), [to]);
  const normalized = layerNormalization(activated, constants(1), constants(0), norm.epsilon);
  const [scales, offsets] = [column(1), column(2)].map((values) => reshape(values, ["batch", to]));
  return add(mul(normalized, scales!), offsets!);
}
