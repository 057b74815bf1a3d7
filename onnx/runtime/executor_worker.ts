/**
 * The Worker behind {@link Executor}: onnxruntime and everything that lives on the device.
 *
 * @module
 */
import "./wasm_memory.ts";
import * as Comlink from "comlink";
import type { Device } from "./device.ts";
import type { ParameterKind, ParameterValues } from "./optimizer/parameters.ts";
import { loadRuntime, type Runtime, type RuntimeOptions, warmUp } from "./runtime.ts";
import {
  createRowTable,
  type RowTable,
  type TableInput,
  withTables,
} from "./optimizer/row_table.ts";
import { hostTensors, Session, type Tensors } from "./session.ts";
import { SerialQueue } from "../../lib/serial_queue.ts";
import { type TrainingGraphs, type TrainingOptions, TrainingSession } from "./training_session.ts";
import { gpuDevice } from "./webgpu.ts";

/** Frees memory early: garbage collection counts objects, and would free it late. */
function free({ buffer }: Float32Array | Uint8Array): void {
  (buffer as ArrayBuffer).transfer(0);
}

/** onnxruntime must never have two calls in flight. */
const queue = new SerialQueue();
let runtime: Runtime;

/** The Worker's functions for `executor.ts`. */
export const workerApi = {
  /** Loads onnxruntime and returns its version; must be called first. */
  async configure(device: Device, options: RuntimeOptions): Promise<string> {
    runtime = await loadRuntime(device, options);
    // WebAssembly's threads take a second to start in a Worker; others prepare meanwhile.
    void queue.run(() => warmUp(runtime)).catch(() => {});
    return runtime.ort.env.versions.common;
  },

  /** Frees the device: a GPU's driver may fail if a Worker ends while it holds it. */
  async close(): Promise<void> {
    if (runtime.device === "webgpu") (await gpuDevice(runtime.ort))?.destroy();
  },

  /** Loads a graph for inference. */
  loadSession(model: Uint8Array) {
    return queue.run(async () => {
      const session = await Session.load(runtime, model, { keepsMemory: true });
      free(model);
      return Comlink.proxy({
        outputNames: () => session.outputNames,
        run: (feeds: Tensors) => queue.run(() => session.run(feeds)),
        release: () => queue.run(() => session.release()),
      });
    });
  },

  /** Loads a graph for inference with tables whose rows can be written. */
  loadTableSession(model: Uint8Array, inputs: readonly TableInput[]) {
    return queue.run(async () => {
      const session = await Session.load(runtime, model, { keepsMemory: true });
      free(model);
      const tables = new Map<string, RowTable>();
      for (const { name, width } of inputs) tables.set(name, await createRowTable(runtime, width));
      return Comlink.proxy({
        run: (feeds: Tensors) =>
          queue.run(async () =>
            hostTensors(await session.runOnDevice(withTables(feeds, inputs, tables)))
          ),
        maxRows: (table: string) => tables.get(table)!.maxRows,
        writeRows: (table: string, rows: readonly number[], values: Float32Array) =>
          queue.run(() => tables.get(table)!.write(rows, values)),
        release: () =>
          queue.run(async () => {
            await session.release();
            for (const table of tables.values()) table.release();
          }),
      });
    });
  },

  /** Loads a model for training. */
  loadTrainingSession(
    graphs: TrainingGraphs,
    weights: ParameterValues,
    options: TrainingOptions,
  ) {
    return queue.run(async () => {
      const session = await TrainingSession.load(runtime, graphs, weights, options);
      for (const values of Object.values(weights)) free(values);
      return Comlink.proxy({
        submit: (parts: Tensors[], step: number, learningRate: number) =>
          queue.run(() => session.submit(parts, step, learningRate)),
        results: () => queue.run(() => session.results()),
        step: (parts: Tensors[], step: number, learningRate: number) =>
          queue.run(() => session.step(parts, step, learningRate)),
        run: (batch: Tensors) => queue.run(() => session.run(batch)),
        values: (kind: ParameterKind, name: string) =>
          queue.run(async () => {
            const values = await session.values(kind, name);
            return Comlink.transfer(values, [values.buffer as ArrayBuffer]);
          }),
        setValues: (kind: ParameterKind, name: string, values: Float32Array) =>
          queue.run(() => {
            session.setValues(kind, name, values);
            free(values);
          }),
        release: () => queue.run(() => session.release()),
      });
    });
  },
};

Comlink.expose(workerApi);
