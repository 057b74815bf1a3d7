/**
 * onnxruntime on one device, inside the executor's Worker, behind `executor.ts`.
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

/** The interface that onnxruntime's builds share. */
export type Ort = Pick<typeof ort, "InferenceSession" | "Tensor" | "env">;

/** onnxruntime, and its options for the device. */
export interface Runtime {
  device: Device;
  ort: Ort;
  sessionOptions: ort.InferenceSession.SessionOptions;
}

/** Settings of {@link loadRuntime}. */
export interface RuntimeOptions {
  /** Threads on the CPU. */
  threads: number;
}

/** Loads onnxruntime's build for a device; a thread can load only one. */
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
    // Not `import`, which would download a package that is not installed.
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

/** Starts WebAssembly with its threads, which would otherwise start with the first graph. */
export async function warmUp({ device, ort, sessionOptions }: Runtime): Promise<void> {
  if (device !== "wasm") return;
  const graph = new Graph();
  const x = graph.input("x", "float32", []);
  graph.output("y", mul(x, x));
  const session = await ort.InferenceSession.create(encodeModel(graph), sessionOptions);
  await session.release();
}
