/**
 * The option `--device` of the commands that predict.
 *
 * @module
 */
import { Option } from "commander";
import { DEVICES } from "../onnx/device.ts";

/** Where graphs run. */
export function deviceOption(): Option {
  const description =
    "Where to predict; auto = a GPU, else native code where it is installed, else wasm";
  return new Option("--device <name>", description).choices(["auto", ...DEVICES]).default("auto");
}
