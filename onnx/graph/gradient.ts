/**
 * Reverse-mode differentiation over a graph's node list.
 *
 * @module
 */
import type { Gradient, Graph, Tensor } from "./graph.ts";
import { recompute } from "./recompute.ts";
import { addGradients, densify } from "./operators.ts";
import { formatShape } from "./shape.ts";

/** The outputs of a training graph for the gradient of a parameter. */
export interface GradientOutput {
  parameter: string;
  /** The output that holds the gradient, or the gradients of the rows that were read. */
  output: string;
  /** The output that says which rows those are; absent for the gradient of a whole parameter. */
  indices?: string;
}

/**
 * Appends the nodes that compute the gradient of a scalar with respect to some tensors.
 *
 * Only paths to the given tensors are followed, so a frozen parameter costs nothing. A table that
 * is read only through `gather` gets {@link IndexedSlices}, the gradient of the rows that were
 * read.
 *
 * @param loss A float32 scalar.
 * @param wrt The tensors to differentiate with respect to.
 * @returns One gradient for each tensor of `wrt`.
 * @throws {RangeError} If the loss is not a scalar or does not depend on one of the tensors.
 */
export function gradient(loss: Tensor, wrt: readonly Tensor[]): Gradient[] {
  if (loss.shape.length > 0) {
    throw new RangeError(`Cannot differentiate ${formatShape(loss.shape)}: not a scalar`);
  }
  const nodes = [...loss.graph.nodes];
  const wanted = new Set(wrt);
  for (const { operands, outputs, gradient } of nodes) {
    if (gradient === undefined || !operands.some((operand) => wanted.has(operand))) continue;
    wanted.add(outputs[0]!);
  }

  const gradients = new Map<Tensor, Gradient>([[loss, loss.graph.scalar(1)]]);
  for (const node of nodes.reverse()) {
    const output = node.outputs[0]!;
    const outputGradient = gradients.get(output);
    if (outputGradient === undefined || node.gradient === undefined) continue;
    const wholeGradient = densify(outputGradient);
    const operandGradients = node.gradient(wholeGradient);
    for (const [i, operand] of node.operands.entries()) {
      const operandGradient = operandGradients[i];
      if (operandGradient === undefined || !wanted.has(operand)) continue;
      const known = gradients.get(operand);
      // A gradient that is only passed on still belongs to the output.
      const isFresh = operandGradient !== wholeGradient;
      gradients.set(
        operand,
        known === undefined ? operandGradient : addGradients(known, operandGradient, isFresh),
      );
    }
  }
  return wrt.map((tensor) => {
    const found = gradients.get(tensor);
    if (found === undefined) {
      throw new RangeError(`Cannot differentiate with respect to '${tensor.name}': unused`);
    }
    return found;
  });
}

/**
 * Adds the gradients of a loss to its graph's outputs.
 *
 * @param trained The parameters to differentiate with respect to.
 * @param checkpoints The tensors of the forward pass to keep; the others are recomputed.
 */
export function outputGradients(
  graph: Graph,
  loss: Tensor,
  trained: readonly Tensor[],
  checkpoints?: ReadonlySet<Tensor>,
): GradientOutput[] {
  const forwardCount = graph.nodes.length;
  const gradients = gradient(loss, trained);
  if (checkpoints !== undefined) recompute(graph, forwardCount, checkpoints);
  return gradients.map((gradient, i) => {
    const parameter = trained[i]!.name;
    const output = `gradient/${parameter}`;
    if ("name" in gradient) {
      graph.output(output, gradient);
      return { parameter, output };
    }
    graph.output(output, gradient.values);
    // An input under its own name costs no copy, and tables may share it.
    const indices = gradient.indices.name;
    if (!graph.outputs.has(indices)) graph.output(indices, gradient.indices);
    return { parameter, output, indices };
  });
}
