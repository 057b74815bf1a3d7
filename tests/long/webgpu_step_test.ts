/**
 * A step of training on a GPU leaves no node to the CPU and waits for no result.
 *
 * @module
 */
import { deepStrictEqual } from "node:assert";
import { fileURLToPath } from "node:url";
import { PROBLEM_TYPES } from "../../data/labels.ts";
import { loadRuntime } from "../../onnx/runtime/runtime.ts";
import { MISSING_DEVICES } from "../support/devices.ts";
import { TrainingSession } from "../../onnx/runtime/training_session.ts";
import { gpuDevice } from "../../onnx/runtime/webgpu.ts";
import { optimizerOf } from "../../training/optimizer.ts";
import { TrainSettings } from "../../training/settings.ts";
import { MODES } from "../../models/tuners/tuner.ts";
import { tinyTraining } from "../support/tiny_training.ts";

const ignore = MISSING_DEVICES.has("webgpu");
const GRAPHS = MODES.flatMap((mode) => PROBLEM_TYPES.map((type) => ({ mode, type })));

Deno.test({
  name: "onnxruntime places all nodes of a training graph on the GPU",
  ignore,
  async fn() {
    // A process of its own, as onnxruntime writes past the console.
    const script = fileURLToPath(new URL("../support/node_placements.ts", import.meta.url));
    const { code, stderr } = await new Deno.Command("deno", {
      args: ["run", "--no-prompt", "--allow-read", script],
      env: { NO_COLOR: "1" },
    }).output();
    const printed = new TextDecoder().decode(stderr);
    deepStrictEqual(code, 0, printed);
    const placements = printed.split(/^graph /m).slice(1).map((part) => [
      part.split("\n", 1)[0],
      ...part.matchAll(/placed on \[(\w+)\]/g).map(([, provider]) => provider),
    ]);
    deepStrictEqual(
      placements,
      GRAPHS.map(({ mode, type }) => [`${mode}, ${type}`, "WebGpuExecutionProvider"]),
    );
  },
});

Deno.test({
  name: "a step of training reads nothing back from the GPU",
  ignore,
  async fn(t) {
    // Not in an executor's Worker, into which one cannot see.
    const runtime = await loadRuntime("webgpu", { threads: 1 });
    const { mapAsync } = GPUBuffer.prototype;
    let reads = 0;
    GPUBuffer.prototype.mapAsync = function (...range) {
      reads++;
      return mapAsync.apply(this, range);
    };
    try {
      for (const { mode, type } of GRAPHS) {
        await t.step(`${mode}, ${type}`, async () => {
          const { graphs, weights, batch } = await tinyTraining(mode, type);
          const session = await TrainingSession.load(runtime, graphs, weights, {
            optimizer: optimizerOf(TrainSettings.parse({})),
            dropoutSeed: 1,
            largestDimensions: [{ batch: 2, length: 3 }],
          });
          reads = 0;
          for (let step = 1; step <= 9; step++) await session.submit([batch], step, 1e-3);
          deepStrictEqual(reads, 0);
          deepStrictEqual((await session.submit([batch], 10, 1e-3)).length, 10);
          deepStrictEqual(reads, 1);
          await session.release();
        });
      }
    } finally {
      GPUBuffer.prototype.mapAsync = mapAsync;
      (await gpuDevice(runtime.ort)).destroy();
    }
  },
});
