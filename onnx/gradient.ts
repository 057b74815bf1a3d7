/**
 * Reverse-mode differentiation over a graph's node list.
 *
 * @module
 */
import type { Gradient, Tensor } from "./graph.ts";
import { addGradients, densify } from "./operators.ts";
import { formatShape } from "./shape.ts";

/**
 * Appends the nodes that compute the gradient of a scalar with respect to some tensors.
 *
 * Only paths that lead to a wanted tensor are followed, so that a frozen parameter costs nothing.
 * A table that is read through `gather` alone gets {@link IndexedSlices}, the gradient of the rows
 * that were read.
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
  for (const { inputs, outputs, gradient } of nodes) {
    if (gradient === undefined || !inputs.some((input) => wanted.has(input))) continue;
    wanted.add(outputs[0]!);
  }

  const gradients = new Map<Tensor, Gradient>([[loss, loss.graph.scalar(1)]]);
  for (const node of nodes.reverse()) {
    const output = node.outputs[0]!;
    const outputGradient = gradients.get(output);
    if (outputGradient === undefined || node.gradient === undefined) continue;
    const inputGradients = node.gradient(densify(outputGradient));
    for (const [i, input] of node.inputs.entries()) {
      const inputGradient = inputGradients[i];
      if (inputGradient === undefined || !wanted.has(input)) continue;
      const known = gradients.get(input);
      gradients.set(
        input,
        known === undefined ? inputGradient : addGradients(known, inputGradient),
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
