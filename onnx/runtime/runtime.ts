/**
 * onnxruntime on one device. It runs inside the executor's Worker; `executor.ts` is the way to it.
 *
 * @module
 */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type * as ort from "onnxruntime-web";
import { type Device, NATIVE_PACKAGE } from "./device.ts";
import { Graph } from "../graph/graph.ts";
import { mul } from "../graph/operators.ts";
import { encodeModel } from "../graph/proto.ts";

/** What onnxruntime's builds have in common. */
export type Ort = Pick<typeof ort, "InferenceSession" | "Tensor" | "env">;

/** onnxruntime, and how it is told to use the device. */
export interface Runtime {
  device: Device;
  ort: Ort;
  sessionOptions: ort.InferenceSession.SessionOptions;
}

/** Settings of {@link loadRuntime}. */
export interface RuntimeOptions {
  /** How many threads work on the CPU. */
  threads: number;
}

/** Loads the build of onnxruntime that serves a device. Only one can be loaded in a thread. */
export async function loadRuntime(
  device: Device,
  { threads }: RuntimeOptions,
): Promise<Runtime> {
  const runtime = await RUNTIMES[device](threads);
  runtime.ort.env.logLevel = "error";
  return runtime;
}

const RUNTIMES: Record<Device, (threads: number) => Promise<Runtime>> = {
  async wasm(threads) {
    const ort = await import("onnxruntime-web");
    ort.env.wasm.numThreads = threads;
    return { device: "wasm", ort, sessionOptions: { executionProviders: ["wasm"] } };
  },

  // deno-lint-ignore require-await
  async native(threads) {
    // Not `import`, which would download the package where it is not installed.
    const ort: Ort = createRequire(import.meta.url)(fileURLToPath(NATIVE_PACKAGE));
    return {
      device: "native",
      ort,
      sessionOptions: { executionProviders: ["cpu"], intraOpNumThreads: threads },
    };
  },

  async webgpu() {
    // In a Worker it would resolve its own files against an origin that is "null".
    Object.defineProperty(globalThis, "location", { value: undefined });
    const ort = await import("onnxruntime-web/jspi");
    ort.env.wasm.numThreads = 1;
    return { device: "webgpu", ort, sessionOptions: { executionProviders: ["webgpu"] } };
  },
};

/** Makes onnxruntime start what it otherwise starts with the first graph that it loads. */
export async function warmUp({ device, ort, sessionOptions }: Runtime): Promise<void> {
  if (device !== "wasm") return;
  const graph = new Graph();
  const x = graph.input("x", "float32", []);
  graph.output("y", mul(x, x));
  const session = await ort.InferenceSession.create(encodeModel(graph), sessionOptions);
  await session.release();
}
