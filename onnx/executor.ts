/**
 * The engine as the rest of Graft sees it: one executor a device, in a Web Worker, which runs one
 * call at a time and leaves the main thread free.
 *
 * @module
 */
import * as Comlink from "comlink";
import { chooseDevice, type Device, type DeviceChoice } from "./device.ts";
import type { workerApi } from "./executor_worker.ts";
import type { ParameterKind, ParameterValues } from "./parameters.ts";
import type { TableInput } from "./row_table.ts";
import type { Tensors } from "./session.ts";
import type { StepResult, TrainingGraphs, TrainingOptions } from "./training_session.ts";

export type { ParameterKind, ParameterValues } from "./parameters.ts";
export type { Tensors } from "./session.ts";
export type { TrainingGraphs, TrainingOptions } from "./training_session.ts";

/** A graph that is loaded in the executor. */
export interface InferenceSession {
  /** Runs the graph once. */
  run(feeds: Tensors): Promise<Tensors>;
  /** Frees the graph's memory. */
  release(): Promise<void>;
}

/** A loaded graph with tables that stay on the device and from which it gathers rows. */
export interface TableSession extends InferenceSession {
  /** Writes rows of a table by their numbers; `values` is `[rows.length, width]` and handed over. */
  writeRows(table: string, rows: readonly number[], values: Float32Array): Promise<void>;
}

/** A model in training; see `TrainingSession`. */
export interface RemoteTrainingSession extends InferenceSession {
  /**
   * Runs forward and backward on one batch, in one part or several whose losses and gradients add
   * up, and updates the weights; steps count from 1.
   */
  step(parts: Tensors[], step: number, learningRate: number): Promise<StepResult>;
  /** A copy of one parameter's present weights or moments. */
  values(kind: ParameterKind, name: string): Promise<Float32Array>;
  /** Replaces one parameter's weights or moments with values that are handed over. */
  setValues(kind: ParameterKind, name: string, values: Float32Array): Promise<void>;
}

/** Settings of {@link Executor}. */
export interface ExecutorOptions {
  /** `auto` takes the best that is there, see `chooseDevice`; by default wasm, which is everywhere. */
  device?: Device | "auto" | undefined;
  /** How many threads work on the CPU; as many as there are logical cores by default. */
  threads?: number | undefined;
}

/** Runs graphs on one device. */
export class Executor implements AsyncDisposable {
  /** Where the graphs run, and why there. */
  readonly choice: DeviceChoice;
  /** The version of onnxruntime. */
  onnxruntimeVersion = "";
  readonly #worker: Worker;
  #isClosed = false;
  readonly #api: Comlink.Remote<typeof workerApi>;

  private constructor(choice: DeviceChoice, worker: Worker) {
    this.choice = choice;
    this.#worker = worker;
    this.#api = Comlink.wrap<typeof workerApi>(worker as unknown as Comlink.Endpoint);
  }

  /**
   * Starts the Worker.
   *
   * @throws {DeviceError} If the device is not there.
   */
  static async start({ device = "wasm", threads }: ExecutorOptions = {}): Promise<Executor> {
    const choice = await chooseDevice(device);
    const worker = new Worker(new URL("./executor_worker.ts", import.meta.url), { type: "module" });
    const executor = new Executor(choice, worker);
    executor.onnxruntimeVersion = await executor.#api.configure(choice.device, {
      threads: threads ?? navigator.hardwareConcurrency,
    });
    return executor;
  }

  /** Loads a serialised ModelProto for inference. */
  async loadSession(model: Uint8Array): Promise<InferenceSession> {
    return await this.#api.loadSession(model);
  }

  /** Loads a serialised ModelProto for inference, with tables that begin with one row of zeros. */
  async loadTableSession(
    model: Uint8Array,
    tables: readonly TableInput[],
  ): Promise<TableSession> {
    return await this.#api.loadTableSession(model, tables);
  }

  /** Loads a model for training, with its initial weights, which are handed over. */
  async loadTrainingSession(
    graphs: TrainingGraphs,
    weights: ParameterValues,
    options: TrainingOptions,
  ): Promise<RemoteTrainingSession> {
    const buffers = Object.values(weights).map(({ buffer }) => buffer as ArrayBuffer);
    const handedOver = Comlink.transfer(weights, buffers);
    const session = await this.#api.loadTrainingSession(graphs, handedOver, options);
    return {
      step: (parts, step, learningRate) => session.step(parts, step, learningRate),
      run: (feeds) => session.run(feeds),
      values: (kind, name) => session.values(kind, name),
      setValues: (kind, name, values) =>
        session.setValues(kind, name, Comlink.transfer(values, [values.buffer as ArrayBuffer])),
      release: () => session.release(),
    };
  }

  /** Frees the device and stops the Worker. */
  async close(): Promise<void> {
    // A Worker that has ended would not answer a second time.
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#api.close();
    this.#worker.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
