/**
 * Calibration of scores: each logit of a classifier times a factor plus a constant, which are
 * merged into its head, so that every export has them.
 *
 * @module
 */
import { familyOf } from "../family.ts";
import type { Calibration, ModelConfig } from "../formats/config.ts";
import type { Weights } from "../weights.ts";

/** Calibrated logits of raw ones, `[labels]`; the same without a calibration. */
export function calibrated(
  logits: Float32Array,
  calibration: Calibration | undefined,
): Float32Array {
  if (calibration === undefined) return logits;
  const { scales, biases } = calibration;
  return logits.map((logit, label) => scales[label]! * logit + biases[label]!);
}

/** Raw logits of calibrated ones, `[labels]`; the same without a calibration. */
export function uncalibrated(
  logits: Float32Array,
  calibration: Calibration | undefined,
): Float32Array {
  if (calibration === undefined) return logits;
  const { scales, biases } = calibration;
  return logits.map((logit, label) => (logit - biases[label]!) / scales[label]!);
}

/** The weights of a classifier whose head gives calibrated logits. */
export function withCalibration(
  config: ModelConfig,
  weights: Weights,
  { scales, biases }: Calibration,
): Weights {
  const [weightName, biasName] = outputParameters(config);
  const width = weights[weightName]!.length / scales.length;
  return {
    ...weights,
    [weightName]: weights[weightName]!.map((value, i) => value * scales[Math.floor(i / width)]!),
    [biasName]: weights[biasName]!.map((value, label) => value * scales[label]! + biases[label]!),
  };
}

/** The names of the weight, `[labels, hidden]`, and the bias, `[labels]`, that give the logits. */
export function outputParameters(config: ModelConfig): [weight: string, bias: string] {
  const { output } = familyOf(config).names;
  return [`${output}.weight`, `${output}.bias`];
}
