/**
 * The peak memory of a graph's tensors while it runs, as a function of its symbolic dimensions.
 *
 * @module
 */
import type { ElementType, Graph, Tensor } from "./graph.ts";
import { neededFor } from "./proto.ts";
import { bindDimensions, elementCount, formatShape, type Shape } from "./shape.ts";

/** How long a tensor is held, counted in nodes that have run. */
export interface Lifetime {
  shape: Shape;
  bytesPerElement: number;
  /** The node that makes it, counted from 0; -1 for an input. */
  from: number;
  /** The last node that reads it. */
  to: number;
}

const BYTES: Record<ElementType, number> = { float32: 4, int64: 8, bool: 1, int8: 1 };

/**
 * The lifetimes of a graph's tensors, without constants. Inputs are held throughout, outputs to the
 * end. A tensor that shares the elements of another, such as a reshaped one, counts as that other.
 */
export function tensorLifetimes(graph: Graph): Lifetime[] {
  const { nodes, tensors } = neededFor(graph);
  const lifetimes = new Map<Tensor, Lifetime>();
  const begin = (tensor: Tensor, from: number, to: number) => {
    const { shape, type } = tensor;
    lifetimes.set(tensor, { shape, bytesPerElement: BYTES[type], from, to });
  };
  for (const input of graph.inputs) if (tensors.has(input)) begin(input, -1, nodes.length);
  for (const [i, { operator, inputs, outputs }] of nodes.entries()) {
    for (const input of inputs) {
      const lifetime = lifetimes.get(input);
      if (lifetime !== undefined) lifetime.to = Math.max(lifetime.to, i);
    }
    const source = operator === "Reshape" ? lifetimes.get(inputs[0]!) : undefined;
    for (const output of outputs) {
      if (source === undefined) begin(output, i, i);
      else lifetimes.set(output, source);
    }
  }
  for (const output of graph.outputs.values()) {
    const lifetime = lifetimes.get(output);
    if (lifetime !== undefined) lifetime.to = nodes.length;
  }
  return [...new Set(lifetimes.values())];
}

/** The most bytes that the tensors take together at any time. */
export function peakBytes(
  lifetimes: readonly Lifetime[],
  dimensions: Readonly<Record<string, number>>,
): number {
  const changes: number[] = [];
  const counts = new Map<string, number>();
  for (const { shape, bytesPerElement, from, to } of lifetimes) {
    const key = formatShape(shape);
    const count = counts.get(key) ?? elementCount(bindDimensions(shape, dimensions));
    counts.set(key, count);
    const bytes = bytesPerElement * count;
    // The place of an input is before the first node.
    changes[from + 1] = (changes[from + 1] ?? 0) + bytes;
    changes[to + 2] = (changes[to + 2] ?? 0) - bytes;
  }
  let held = 0;
  let peak = 0;
  for (const change of changes) {
    held += change ?? 0;
    peak = Math.max(peak, held);
  }
  return peak;
}
