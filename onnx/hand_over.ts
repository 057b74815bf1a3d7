/**
 * Moves values between the main thread and the executor's Worker.
 *
 * @module
 */
import * as Comlink from "comlink";
import type { ParameterValues, TrainingState } from "./parameters.ts";

/** Values that move to the other thread instead of being copied: on this side they are gone. */
export function handedOver<Values extends ParameterValues | TrainingState>(values: Values): Values {
  const groups: ParameterValues[] = "weights" in values && !(values.weights instanceof Float32Array)
    ? Object.values(values)
    : [values as ParameterValues];
  const buffers = groups.flatMap((group) => Object.values(group)).map(({ buffer }) => buffer);
  return Comlink.transfer(values, buffers as ArrayBuffer[]);
}
