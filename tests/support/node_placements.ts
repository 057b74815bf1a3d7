/**
 * Loads the graphs that train each kind of classifier on WebGPU, and lets onnxruntime say on standard
 * error where it places their nodes. A line `graph NAME` stands before each.
 *
 * @module
 */
import { PROBLEM_TYPES } from "../../data/labels.ts";
import { loadRuntime } from "../../onnx/runtime/runtime.ts";
import { gpuDevice } from "../../onnx/runtime/webgpu.ts";
import { MODES } from "../../models/tuners/tuner.ts";
import { tinyTraining } from "./tiny_training.ts";

const VERBOSE = 0;

const runtime = await loadRuntime("webgpu", { threads: 1 });
runtime.ort.env.logLevel = "verbose";
for (const mode of MODES) {
  for (const problemType of PROBLEM_TYPES) {
    console.error(`graph ${mode}, ${problemType}`);
    const { graphs } = await tinyTraining(mode, problemType);
    const session = await runtime.ort.InferenceSession.create(graphs.training, {
      ...runtime.sessionOptions,
      graphOptimizationLevel: "all",
      logSeverityLevel: VERBOSE,
    });
    await session.release();
  }
}
(await gpuDevice(runtime.ort)).destroy();
