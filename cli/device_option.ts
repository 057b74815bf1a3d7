/**
 * The option `--device` of the commands without settings of training.
 *
 * @module
 */
import type { Option } from "commander";
import { DEVICES } from "../onnx/runtime/device.ts";
import { choiceOption } from "./choices.ts";

/** `--device <name>`. */
export function deviceOption(): Option {
  const description =
    "Where graphs run; auto = a GPU, else native code where it is installed, else wasm";
  return choiceOption("--device <name>", description, ["auto", ...DEVICES]).default("auto");
}
