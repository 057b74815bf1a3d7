/**
 * Gradient checkpointing (Chen et al., 2016): of the forward pass only some tensors are kept, and the
 * backward pass makes the others again from these.
 *
 * @module
 */
import type { Graph, Node, Tensor } from "./graph.ts";

/**
 * Has the nodes of a backward pass read copies of what the forward pass has made from kept tensors,
 * each made shortly before it is read. What does not depend on a kept tensor stays as it is.
 *
 * @param forwardCount How many nodes the forward pass has; those of the backward pass follow.
 * @param kept Tensors of the forward pass.
 */
export function recompute(graph: Graph, forwardCount: number, kept: ReadonlySet<Tensor>): void {
  const backward = graph.nodes.splice(forwardCount);
  const makers = new Map<Tensor, Node>();
  for (const node of graph.nodes) {
    // What a node gives beside a kept tensor, as the means of layer normalisation, is small.
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
  /** The same values by a node of its own: onnxruntime makes alike nodes of the same operands one. */
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
