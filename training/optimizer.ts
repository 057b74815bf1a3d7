/**
 * The optimizer of all runs: AdamW with PyTorch's constants.
 *
 * @module
 */
import type { AdamWOptions } from "../onnx/runtime/optimizer/adamw.ts";

/** The options of AdamW from a run's settings. */
export function optimizerOf(
  { weightDecay, maxGradNorm }: { weightDecay: number; maxGradNorm: number },
): AdamWOptions {
  return { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay, maxGradientNorm: maxGradNorm };
}
