/**
 * The engine as the rest of Graft sees it: one executor per device, in a Web Worker, which runs one
 * call at a time and leaves the main thread free.
 *
 * @module
 */
import * as Comlink from "comlink";
import { messageOf } from "../../lib/format.ts";
import { sendsMetrics } from "../../lib/telemetry.ts";
import { Watchdog } from "../../lib/watchdog.ts";
import { chooseDevice, type Device, type DeviceChoice, DeviceError } from "./device.ts";
import type { workerApi } from "./executor_worker.ts";
import { OutOfMemoryError, saysOutOfMemory } from "./device_memory.ts";
import type { ParameterKind, ParameterValues, StepResult } from "./optimizer/parameters.ts";
import type { TableInput } from "./optimizer/row_table.ts";
import type { Tensors } from "./session.ts";
import type { TimedStepResult, TrainingGraphs, TrainingOptions } from "./training_session.ts";

export type { ParameterKind, ParameterValues, StepResult } from "./optimizer/parameters.ts";
export type { Tensors } from "./session.ts";
export type { TimedStepResult, TrainingGraphs, TrainingOptions } from "./training_session.ts";

/** A graph loaded in the executor. */
export interface InferenceSession {
  /** Runs the graph once. */
  run(feeds: Tensors): Promise<Tensors>;
  /** Frees the graph's memory. */
  release(): Promise<void>;
}

/** A loaded graph that may come from elsewhere. */
export interface NamedSession extends InferenceSession {
  /** The names of its outputs. */
  readonly outputNames: readonly string[];
}

/** A loaded graph that gathers rows from tables that stay on the device. */
export interface TableSession extends InferenceSession {
  /** How many rows a table can have on this device, the first included. */
  maxRows(table: string): Promise<number>;
  /** Writes rows of a table by their numbers; `values` is `[rows.length, width]`. */
  writeRows(table: string, rows: readonly number[], values: Float32Array): Promise<void>;
}

/** A model in training; see `TrainingSession`. */
export interface RemoteTrainingSession extends InferenceSession {
  /**
   * Runs forward and backward on one batch, in one part or several whose losses and gradients add
   * up, and updates the weights; steps count from 1.
   *
   * A GPU takes the next step before this one has ended, and reports the results of ten at a time.
   *
   * @returns The results of this and earlier steps that are known by now, each once.
   */
  submit(parts: Tensors[], step: number, learningRate: number): Promise<StepResult[]>;
  /** Waits for the results that {@link submit} has not returned. */
  results(): Promise<StepResult[]>;
  /** Submits a step and waits for its result; earlier results are dropped. */
  step(parts: Tensors[], step: number, learningRate: number): Promise<TimedStepResult>;
  /** A copy of one parameter's current weights or moments. */
  values(kind: ParameterKind, name: string): Promise<Float32Array>;
  /** Replaces one parameter's weights or moments with values that are handed over. */
  setValues(kind: ParameterKind, name: string, values: Float32Array): Promise<void>;
}

/** Settings of {@link Executor}. */
export interface ExecutorOptions {
  /** `auto` takes the best, see `chooseDevice`; by default wasm, which runs everywhere. */
  device?: Device | "auto" | undefined;
  /** Threads on the CPU; by default one for each logical core. */
  threads?: number | undefined;
  /** The longest time for one call, after which the executor is ended; by default there is none. */
  timeoutMs?: number | undefined;
}

/** The executor has ended, by a crash or by {@link Executor.close}. */
export class ExecutorEndedError extends Error {
  override name = "ExecutorEndedError";
}

/** The executor was ended because this call took too long. */
export class ExecutorTimeoutError extends ExecutorEndedError {
  override name = "ExecutorTimeoutError";
}

/** The executor was ended because a call before this one took too long. */
export class ExecutorBusyError extends ExecutorEndedError {
  override name = "ExecutorBusyError";
}

/** Runs graphs on one device. */
export class Executor implements AsyncDisposable {
  /** The device of the graphs, and why it was chosen. */
  readonly choice: DeviceChoice;
  /** The version of onnxruntime. */
  onnxruntimeVersion = "";
  readonly #worker: Worker;
  readonly #api: Comlink.Remote<typeof workerApi>;
  readonly #timeoutMs: number | undefined;
  /** Runs while calls wait; the Worker works on the first of them. */
  #watchdog: Watchdog | undefined;
  /** The functions that reject the waiting calls, in their order. */
  readonly #waiting = new Set<(error: Error) => void>();
  #ended: ExecutorEndedError | undefined;
  readonly #ending = Promise.withResolvers<void>();

  private constructor(choice: DeviceChoice, worker: Worker, timeoutMs: number | undefined) {
    this.choice = choice;
    this.#timeoutMs = timeoutMs;
    this.#worker = worker;
    this.#api = Comlink.wrap<typeof workerApi>(worker as unknown as Comlink.Endpoint);
    worker.addEventListener("error", (event) => {
      // Otherwise the error would end the process.
      event.preventDefault();
      this.#end(`the executor crashed: ${event.message}`);
    });
  }

  /** Resolves when the executor has ended. */
  get whenEnded(): Promise<void> {
    return this.#ending.promise;
  }

  /** Whether the executor has ended. */
  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /**
   * Starts the Worker.
   *
   * @throws {DeviceError} If the device is missing, or onnxruntime does not load.
   */
  static async start(
    { device = "wasm", threads, timeoutMs }: ExecutorOptions = {},
  ): Promise<Executor> {
    const choice = await chooseDevice(device);
    const worker = new Worker(new URL("./executor_worker.ts", import.meta.url), { type: "module" });
    const executor = new Executor(choice, worker, timeoutMs);
    // Deno's metrics wait for every JavaScript thread, and WebAssembly's threads wait for work.
    const most = choice.device === "wasm" && sendsMetrics() ? 1 : navigator.hardwareConcurrency;
    const options = { threads: Math.min(threads ?? most, most) };
    try {
      const version = executor.#api.configure(choice.device, options);
      executor.onnxruntimeVersion = await executor.#answer(version);
    } catch (error) {
      executor.#end("the executor did not start");
      const reason = messageOf(error);
      const message = `Cannot use device '${choice.device}': onnxruntime did not load: ${reason}`;
      throw new DeviceError(message, { cause: error });
    }
    return executor;
  }

  /** Loads a serialised ModelProto for inference; its bytes are transferred. */
  async loadSession(model: Uint8Array): Promise<NamedSession> {
    const { outputNames, run, release } = await this.#answer(
      this.#api.loadSession(handedOver(model)),
    );
    return {
      outputNames: await this.#answer(outputNames()),
      run: (feeds) => this.#answer(run(feeds)),
      release: () => this.#answer(release()),
    };
  }

  /**
   * Loads a serialised ModelProto for inference, with tables that begin with one row of zeros; its
   * bytes are transferred.
   */
  async loadTableSession(
    model: Uint8Array,
    tables: readonly TableInput[],
  ): Promise<TableSession> {
    const { run, maxRows, writeRows, release } = await this.#answer(
      this.#api.loadTableSession(handedOver(model), tables),
    );
    return {
      run: (feeds) => this.#answer(run(feeds)),
      maxRows: (table) => this.#answer(maxRows(table)),
      writeRows: (table, rows, values) => this.#answer(writeRows(table, rows, values)),
      release: () => this.#answer(release()),
    };
  }

  /** Loads a model for training, with its initial weights; all are transferred. */
  async loadTrainingSession(
    graphs: TrainingGraphs,
    weights: ParameterValues,
    options: TrainingOptions,
  ): Promise<RemoteTrainingSession> {
    const buffers = Object.values(weights).map(({ buffer }) => buffer as ArrayBuffer);
    const handedOver = Comlink.transfer(weights, buffers);
    const { submit, results, step, run, values, setValues, release } = await this.#answer(
      this.#api.loadTrainingSession(graphs, handedOver, options),
    );
    return {
      submit: (parts, number, learningRate) => this.#answer(submit(parts, number, learningRate)),
      results: () => this.#answer(results()),
      step: (parts, number, learningRate) => this.#answer(step(parts, number, learningRate)),
      run: (feeds) => this.#answer(run(feeds)),
      values: (kind, name) => this.#answer(values(kind, name)),
      setValues: (kind, name, present) =>
        this.#answer(
          setValues(kind, name, Comlink.transfer(present, [present.buffer as ArrayBuffer])),
        ),
      release: () => this.#answer(release()),
    };
  }

  /** Frees the device and stops the Worker. */
  async close(): Promise<void> {
    // A Worker that has crashed has nothing to free.
    await this.#answer(this.#api.close()).catch(() => {});
    this.#end("the executor was closed");
  }

  /**
   * The Worker's answer to a call.
   *
   * @throws {ExecutorEndedError} If the Worker ends before it answers.
   */
  #answer<Result>(call: Promise<Result>): Promise<Result> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    this.#waiting.add(reject);
    this.#watch();
    call.then(resolve, (error: unknown) => {
      // WebAssembly that has trapped, for example for want of memory, cannot go on.
      const trapped = error instanceof Error && error.name === "RuntimeError";
      if (trapped) this.#end(`the executor crashed: ${error.message}`);
      if (!saysOutOfMemory(error)) return reject(error);
      const { device } = this.choice;
      reject(new OutOfMemoryError(`${device} ran out of memory`, { cause: error }));
      // onnxruntime-web writes to address 0 when it was given no memory.
      if (device === "wasm") this.#end("the executor ran out of memory");
    }).finally(() => {
      this.#waiting.delete(reject);
      this.#watchdog?.reset();
      if (this.#waiting.size === 0) this.#unwatch();
    });
    return promise;
  }

  /** Ends the executor when a call takes too long. */
  #watch(): void {
    const timeoutMs = this.#timeoutMs;
    if (timeoutMs === undefined) return;
    this.#watchdog ??= new Watchdog(timeoutMs, () => {
      const took = `took more than ${timeoutMs / 1000} seconds`;
      const [first] = this.#waiting;
      first?.(new ExecutorTimeoutError(`it ${took} on the device`));
      this.#end(new ExecutorBusyError(`what the executor worked on before ${took}`));
    });
  }

  #unwatch(): void {
    this.#watchdog?.[Symbol.dispose]();
    this.#watchdog = undefined;
  }

  #end(reason: string | ExecutorEndedError): void {
    if (this.#ended !== undefined) return;
    this.#ended = typeof reason === "string" ? new ExecutorEndedError(reason) : reason;
    this.#worker.terminate();
    for (const reject of this.#waiting) reject(this.#ended);
    this.#waiting.clear();
    this.#unwatch();
    this.#ending.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Bytes that move to another thread without a copy. */
function handedOver(bytes: Uint8Array): Uint8Array {
  return Comlink.transfer(bytes, [bytes.buffer as ArrayBuffer]);
}
