/**
 * Weights of 8 bits in the place of float32 ones, for inference: a quarter of the memory, and
 * products of integers, of which CPUs do several in the time of one of floats.
 *
 * @module
 */
import type { Graph, Node, Tensor, TensorData } from "./graph.ts";
import { cast, gather } from "./operators.ts";

/**
 * Weights keep to 7 of the 8 bits: where a CPU, or WebAssembly, adds up products of 8 bits in 16, two
 * of larger ones would overflow.
 */
const LARGEST_WEIGHT = 63;
/** Of a table, whose values are only looked up, all 8 bits are used. */
const LARGEST_ENTRY = 127;

/**
 * Stores weights of a graph for inference as integers of 8 bits: those that a `Gemm` multiplies by,
 * with a scale for each column of its result, and those from which a `Gather` takes rows, with a
 * scale for each row.
 *
 * What is multiplied by weights is quantised while the graph runs, with one scale for the whole
 * tensor (dynamic quantisation, as onnxruntime's `quantize_dynamic` does it). So the results for a
 * text depend a little on the others in its batch.
 *
 * @param isQuantized Which weights, by their names.
 */
export function quantizeWeights(graph: Graph, isQuantized: (name: string) => boolean): void {
  const weightsOf = (tensor: Tensor | undefined) => {
    const values = tensor && graph.initializers.get(tensor);
    return values?.type === "float32" && isQuantized(tensor!.name) ? values : undefined;
  };
  for (const node of graph.nodes.splice(0)) {
    const weight = node.operator === "Gemm" ? weightsOf(node.inputs[1]) : undefined;
    const table = node.operator === "Gather" ? weightsOf(node.inputs[0]) : undefined;
    if (table !== undefined) appendQuantizedGather(graph, node, table);
    else graph.nodes.push(weight === undefined ? node : quantizedGemm(graph, node, weight));
  }
}

function quantizedGemm(graph: Graph, node: Node, weight: TensorData): Node {
  const [x, { name }, bias] = node.inputs as [Tensor, Tensor, Tensor?];
  const { transA, transB } = node.attributes;
  if (transA !== 0 || transB !== 1) {
    throw new RangeError(`Cannot quantise '${name}': it must be the transposed right operand`);
  }
  const [columns, inner] = weight.shape as [number, number];
  const scales = new Float32Array(columns);
  const quantized = new Int8Array(inner * columns);
  for (let column = 0; column < columns; column++) {
    const values = (weight.data as Float32Array).subarray(column * inner, (column + 1) * inner);
    const scale = scales[column] = scaleOf(values, LARGEST_WEIGHT);
    for (let i = 0; i < inner; i++) {
      quantized[i * columns + column] = Math.round(values[i]! / scale);
    }
  }
  return {
    ...node,
    operator: "DynamicQuantizeMatMul",
    domain: "com.microsoft",
    inputs: [
      x,
      graph.initializer(`${name}_quantized`, {
        type: "int8",
        shape: [inner, columns],
        data: quantized,
      }),
      graph.initializer(`${name}_scale`, { type: "float32", shape: [columns], data: scales }),
      graph.initializer(`${name}_zero_point`, {
        type: "int8",
        shape: [columns],
        data: new Int8Array(columns),
      }),
      ...(bias === undefined ? [] : [bias]),
    ],
    attributes: {},
  };
}

/** Appends what gives rows of a table as 8 bits, with a scale for each row. */
function appendQuantizedGather(graph: Graph, node: Node, table: TensorData): void {
  const [{ name }, indices] = node.inputs as [Tensor, Tensor];
  const [rows, width] = table.shape as [number, number];
  const scales = new Float32Array(rows);
  const quantized = new Int8Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const values = (table.data as Float32Array).subarray(row * width, (row + 1) * width);
    const scale = scales[row] = scaleOf(values, LARGEST_ENTRY);
    for (const [i, value] of values.entries()) {
      quantized[row * width + i] = Math.round(value / scale);
    }
  }
  const entries = gather(
    graph.initializer(`${name}_quantized`, { type: "int8", shape: table.shape, data: quantized }),
    indices,
  );
  const scale = gather(
    graph.initializer(`${name}_scale`, { type: "float32", shape: [rows, 1], data: scales }),
    indices,
  );
  const inputs = [cast(entries, "float32"), scale];
  graph.nodes.push({ ...node, operator: "Mul", inputs, attributes: {} });
}

/** The scale by which values become integers of at most `largest`. */
function scaleOf(values: Float32Array, largest: number): number {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most === 0 ? 1 : most / largest;
}
