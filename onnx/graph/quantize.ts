/**
 * Weights of 8 bits in place of float32 ones, for inference: a quarter of the memory, and integer
 * products, which a CPU computes several times as fast as float ones.
 *
 * @module
 */
import type { Float, Graph, Node, Tensor } from "./graph.ts";
import { cast, gather } from "./operators.ts";

/**
 * Weights use 7 of the 8 bits: some CPUs, and WebAssembly, add up products of 8 bits in 16 bits,
 * and two products of larger weights would overflow.
 */
const LARGEST_WEIGHT = 63;
/** Tables use all 8 bits, as their values are only looked up. */
const LARGEST_ENTRY = 127;

/**
 * Stores weights of a graph for inference as integers of 8 bits: those that a `Gemm` multiplies by,
 * with a scale for each column of its result, and those from which a `Gather` takes rows, with a
 * scale for each row.
 *
 * The other operand is quantised while the graph runs, with one scale for the whole tensor (dynamic
 * quantisation, as in onnxruntime's `quantize_dynamic`), so the results for a text depend a little
 * on the others in its batch.
 *
 * @param isQuantized Which weights, by their names.
 * @throws {RangeError} If a `Gemm` does not transpose one of them, or scales the product.
 */
export function quantizeWeights(graph: Graph, isQuantized: (name: string) => boolean): void {
  const isWeight = (tensor: Tensor | undefined): tensor is Tensor =>
    tensor !== undefined && graph.initializers.get(tensor)?.type === "float32" &&
    isQuantized(tensor.name);
  // Several nodes may read one weight.
  const columns = new Map<Tensor, QuantizedColumns>();
  const rows = new Map<Tensor, QuantizedRows>();
  for (const node of graph.nodes.splice(0)) {
    const [first, second] = node.inputs;
    if (node.operator === "Gemm" && isWeight(second)) {
      checkProduct(node, second.name);
      if (!columns.has(second)) columns.set(second, quantizedColumns(graph, second));
      graph.nodes.push(quantizedGemm(node, columns.get(second)!));
    } else if (node.operator === "Gather" && isWeight(first)) {
      if (!rows.has(first)) rows.set(first, quantizedRows(graph, first));
      appendQuantizedGather(graph, node, rows.get(first)!);
    } else {
      graph.nodes.push(node);
    }
  }
}

/** The quantised form of a weight that a product multiplies by. */
interface QuantizedColumns {
  values: Tensor;
  scales: Tensor;
  zeroPoints: Tensor;
}

/** The quantised form of a table. */
interface QuantizedRows {
  entries: Tensor;
  scales: Tensor;
}

function checkProduct({ attributes: { alpha, transA, transB } }: Node, name: string): void {
  if (transA !== 0 || transB !== 1) {
    throw new RangeError(`Cannot quantise '${name}': it must be the transposed right operand`);
  }
  const { float: factor } = alpha as Float;
  if (factor !== 1) {
    throw new RangeError(
      `Cannot quantise '${name}': its product must not be scaled, and is by ${factor}`,
    );
  }
}

function quantizedGemm(node: Node, { values, scales, zeroPoints }: QuantizedColumns): Node {
  const [x, , ...bias] = node.inputs as [Tensor, Tensor, ...Tensor[]];
  return {
    ...node,
    operator: "DynamicQuantizeMatMul",
    domain: "com.microsoft",
    inputs: [x, values, scales, zeroPoints, ...bias],
    attributes: {},
  };
}

function quantizedColumns(graph: Graph, weight: Tensor): QuantizedColumns {
  const { name } = weight;
  const { shape, data } = graph.initializers.get(weight)!;
  const [columns, inner] = shape as [number, number];
  const scales = new Float32Array(columns);
  const quantized = new Int8Array(inner * columns);
  for (let column = 0; column < columns; column++) {
    const values = (data as Float32Array).subarray(column * inner, (column + 1) * inner);
    const scale = scales[column] = scaleOf(values, LARGEST_WEIGHT);
    for (let i = 0; i < inner; i++) {
      quantized[i * columns + column] = Math.round(values[i]! / scale);
    }
  }
  return {
    values: graph.initializer(`${name}_quantized`, {
      type: "int8",
      shape: [inner, columns],
      data: quantized,
    }),
    scales: graph.initializer(`${name}_scale`, { type: "float32", shape: [columns], data: scales }),
    zeroPoints: graph.initializer(`${name}_zero_point`, {
      type: "int8",
      shape: [columns],
      data: new Int8Array(columns),
    }),
  };
}

/** Appends the nodes that gather rows of a table of 8 bits, with a scale for each row. */
function appendQuantizedGather(graph: Graph, node: Node, { entries, scales }: QuantizedRows): void {
  const indices = node.inputs[1]!;
  const inputs = [cast(gather(entries, indices), "float32"), gather(scales, indices)];
  graph.nodes.push({ ...node, operator: "Mul", inputs, attributes: {} });
}

function quantizedRows(graph: Graph, table: Tensor): QuantizedRows {
  const { name } = table;
  const { shape, data } = graph.initializers.get(table)!;
  const [rows, width] = shape as [number, number];
  const scales = new Float32Array(rows);
  const quantized = new Int8Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const values = (data as Float32Array).subarray(row * width, (row + 1) * width);
    const scale = scales[row] = scaleOf(values, LARGEST_ENTRY);
    for (const [i, value] of values.entries()) {
      quantized[row * width + i] = Math.round(value / scale);
    }
  }
  return {
    entries: graph.initializer(`${name}_quantized_rows`, { type: "int8", shape, data: quantized }),
    scales: graph.initializer(`${name}_row_scale`, {
      type: "float32",
      shape: [rows, 1],
      data: scales,
    }),
  };
}

/** The scale that makes values integers of at most `largest`. */
function scaleOf(values: Float32Array, largest: number): number {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most === 0 ? 1 : most / largest;
}
