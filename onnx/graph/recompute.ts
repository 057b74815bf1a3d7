/**
 * Gradient checkpointing (Chen et al., 2016): only some tensors of the forward pass are kept, and
 * the backward pass recomputes the others from them.
 *
 * @module
 */
import type { Graph, Node, Tensor } from "./graph.ts";

/**
 * Makes the nodes of a backward pass read tensors that are recomputed from kept ones shortly before
 * they are read. Tensors that do not depend on a kept one stay as they are.
 *
 * @param forwardCount The number of the forward pass's nodes, which come first.
 * @param kept Tensors of the forward pass.
 */
export function recompute(graph: Graph, forwardCount: number, kept: ReadonlySet<Tensor>): void {
  const backward = graph.nodes.splice(forwardCount);
  const makers = new Map<Tensor, Node>();
  for (const node of graph.nodes) {
    // Other outputs beside a kept one, such as layer normalisation's means, are small.
    if (node.outputs.some((output) => kept.has(output))) continue;
    if (!node.inputs.some((input) => kept.has(input) || makers.has(input))) continue;
    for (const output of node.outputs) makers.set(output, node);
  }
  const copies = new Map<Tensor, Tensor>();
  const copyOf = (tensor: Tensor): Tensor => {
    const known = copies.get(tensor);
    if (known !== undefined) return known;
    const maker = makers.get(tensor);
    if (maker === undefined) return tensor;
    const { operator, attributes, domain, outputs } = maker;
    const inputs = maker.inputs.map((input) => kept.has(input) ? unlike(input) : copyOf(input));
    const again = graph.appendMany(operator, inputs, outputs.map(({ shape }) => shape), {
      type: tensor.type,
      attributes,
      domain,
    });
    for (const [i, output] of outputs.entries()) copies.set(output, again[i]!);
    return copies.get(tensor)!;
  };
  /** The same values from a node of its own: onnxruntime merges equal nodes of equal operands. */
  const unlike = (tensor: Tensor): Tensor => {
    const known = copies.get(tensor);
    if (known !== undefined) return known;
    const copy = graph.append("Clip", [tensor], { shape: tensor.shape });
    copies.set(tensor, copy);
    return copy;
  };
  for (const node of backward) {
    const inputs = node.inputs.map(copyOf);
    graph.nodes.push({ ...node, inputs });
  }
}
