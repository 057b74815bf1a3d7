/**
 * The rules that all tuners with a frozen base share.
 *
 * @module
 */
import { scratchSizeOf } from "../formats/config.ts";
import type { SettingFault, TunerSettings } from "./tuner.ts";

/** The settings that a frozen base rules out. */
export function frozenBaseFaults(mode: string, { model, freeze }: TunerSettings): SettingFault[] {
  const faults: SettingFault[] = [];
  if (scratchSizeOf(model) !== undefined) {
    faults.push({
      key: "mode",
      message:
        `'${model}' has random weights, and a frozen base that has learned nothing is of no use; ` +
        "name a pretrained one with --model",
    });
  }
  if (freeze !== undefined) {
    faults.push({ key: "freeze", message: `--mode ${mode} freezes the whole base` });
  }
  return faults;
}
