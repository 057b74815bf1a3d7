/**
 * The rules that all tuners with a frozen base share.
 *
 * @module
 */
import { scratchSizeOf } from "../own_models.ts";
import type { Mode, SettingFault, TunerSettings } from "./tuner.ts";

/** The settings that a frozen base rules out. */
export function frozenBaseFaults(mode: Mode, { model, freeze }: TunerSettings): SettingFault[] {
  const faults: SettingFault[] = [];
  if (scratchSizeOf(model) !== undefined) {
    faults.push({
      key: "mode",
      message:
        `'${model}' has random weights, and a frozen base that has learned nothing is of no use; ` +
        "name a pretrained model",
    });
  }
  if (freeze !== undefined) {
    faults.push({
      key: "freeze",
      message: `${mode} freezes the whole base; it goes with`,
      needs: { key: "mode", value: "full" },
    });
  }
  return faults;
}
