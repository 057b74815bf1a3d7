/**
 * The heads and poolers of adapters as rows of a bank's tables.
 *
 * @module
 */
import { familyOf, type HeadLayer } from "../family.ts";
import type { ModelConfig } from "../formats/config.ts";
import type { BankRows } from "../tuners/tuner.ts";
import type { Weights } from "../weights.ts";
import { headTable, rowWidth } from "./bank_tables.ts";

/**
 * A layer with a row for each output, `[to, width]`: its weights, its bias, and the scale and offset
 * of the normalisation behind it, if there is one.
 */
function layerRows(config: ModelConfig, layer: HeadLayer, weights: Weights): BankRows {
  const { name, norm } = layer;
  const { hidden_size: from } = familyOf(config).sizes(config);
  const weight = weights[`${name}.weight`]!;
  const columns = [
    weights[`${name}.bias`],
    ...norm ? [weights[`${norm.name}.weight`], weights[`${norm.name}.bias`]] : [],
  ];
  const width = rowWidth(config, layer);
  const to = weight.length / from;
  const values = new Float32Array(to * width);
  for (let output = 0; output < to; output++) {
    const start = output * width;
    values.set(weight.subarray(output * from, (output + 1) * from), start);
    for (const [i, column] of columns.entries()) values[start + from + i] = column?.[output] ?? 0;
  }
  return { width, values };
}

/** The rows of a head, by the tables of its layers. */
export function headRows(config: ModelConfig, weights: Weights): [table: string, rows: BankRows][] {
  return familyOf(config).head(config)
    .map((layer, index) => [headTable(index), layerRows(config, layer, weights)]);
}

/** The rows of a pooler, for families that have one. */
export function poolerRows(config: ModelConfig, weights: Weights): BankRows {
  return layerRows(config, familyOf(config).pooler!(config), weights);
}
