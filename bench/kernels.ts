/**
 * How many kernels a step of training launches on a GPU. Each launch has a fixed cost, which
 * dominates the time of a small model.
 *
 * @module
 */
import { loadRuntime } from "../onnx/runtime/runtime.ts";
import { TrainingSession } from "../onnx/runtime/training_session.ts";
import { PASS_LABEL } from "../onnx/runtime/optimizer/webgpu_kernels.ts";
import { benchTraining, type TrainBenchOptions } from "./train.ts";

/** Kernels of one step. */
export interface KernelCounts {
  /** Kernels of the forward and backward passes, which onnxruntime launches. */
  graph: number;
  /** Kernels that add up the gradients and update the weights. */
  optimizer: number;
}

/** Counts the kernels of a step, with dropout, that are passed to the GPU's driver. */
export async function benchKernels(
  options: Omit<TrainBenchOptions, "steps">,
): Promise<KernelCounts> {
  // Not in an executor's Worker, which cannot be watched.
  const runtime = await loadRuntime("webgpu", { threads: 1 });
  const { graphs, weights, options: sessionOptions, parts } = await benchTraining(
    options,
    "webgpu",
  );
  const session = await TrainingSession.load(runtime, graphs, weights, sessionOptions);
  // The first step may prepare things for later ones.
  await session.step(parts, 1, 1e-4);
  const counts = await counting(() => session.submit(parts, 2, 1e-4));
  await session.results();
  await session.release();
  return counts;
}

/** Counts the kernels that this thread launches while a task runs. */
async function counting(task: () => Promise<unknown>): Promise<KernelCounts> {
  const counts = { graph: 0, optimizer: 0 };
  const passes = GPUComputePassEncoder.prototype;
  const { dispatchWorkgroups, dispatchWorkgroupsIndirect } = passes;
  const count = ({ label }: GPUComputePassEncoder) => {
    counts[label === PASS_LABEL ? "optimizer" : "graph"]++;
  };
  passes.dispatchWorkgroups = function (...workgroups) {
    count(this);
    dispatchWorkgroups.apply(this, workgroups);
  };
  passes.dispatchWorkgroupsIndirect = function (...workgroups) {
    count(this);
    dispatchWorkgroupsIndirect.apply(this, workgroups);
  };
  try {
    await task();
  } finally {
    Object.assign(passes, { dispatchWorkgroups, dispatchWorkgroupsIndirect });
  }
  return counts;
}
