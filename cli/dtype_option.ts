/**
 * The option `--dtype` of the commands that predict.
 *
 * @module
 */
import type { Option } from "commander";
import { DTYPES } from "../models/onnx_model.ts";
import { choiceOption } from "./choices.ts";

/**
 * `--dtype <name>`, the type of the weights.
 *
 * @param more A further effect, for the help.
 */
export function dtypeOption(more = ""): Option {
  const description = `fp32, or q8 = weights of 8 bits: faster, smaller, and less exact${more}`;
  return choiceOption("--dtype <name>", description, DTYPES).default("fp32");
}
