/**
 * The programs that Graft is compared with.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { BENCH_SIZES } from "../train.ts";
import type { PeerProgram } from "./peer_process.ts";

/** Texts of a step. */
export const BATCH_SIZE = 16;

/** The reason without PyTorch. */
export const NO_PYTORCH = "not installed: `pip install torch transformers`";

/** The reason if PyTorch cannot export a model. */
export const NO_EXPORT = "not installed: `pip install torch transformers onnx onnxruntime`";

/** The reason without the packages from npm. */
export const NO_PACKAGES = "not installed: `deno task install:peers`";

/** A program that runs on Deno. */
export function denoProgram(
  script: string,
  permissions: readonly string[],
  args: readonly (string | number)[],
): PeerProgram {
  // Its folder has a configuration of its own, only for its packages.
  const config = fileURLToPath(new URL("../../deno.json", import.meta.url));
  const options = ["--quiet", "--no-prompt", "--config", config, ...permissions];
  return { command: "deno", args: ["run", ...options, programFile(script), ...args.map(String)] };
}

/** Steps of PyTorch, on texts of some number of tokens padded to a length. */
export function pytorchProgram(
  size: keyof typeof BENCH_SIZES,
  settings: { length: number; tokens: number; steps: number; threads: number; dropout?: number },
): PeerProgram {
  const options = Object.entries({ ...BENCH_SIZES[size], "batch-size": BATCH_SIZE, ...settings });
  const args = options.flatMap(([name, value]) => [`--${name}`, String(value)]);
  return { command: "python3", args: [programFile("pytorch_step.py"), ...args] };
}

/** Writes the ONNX models that PyTorch exports from a folder. */
export function exportProgram(modelDir: string): PeerProgram {
  return { command: "python3", args: [programFile("export_onnx.py"), modelDir] };
}

function programFile(name: string): string {
  return fileURLToPath(new URL(`./programs/${name}`, import.meta.url));
}
