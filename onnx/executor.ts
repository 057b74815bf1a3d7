/**
 * The engine as the rest of Graft sees it: one executor a device, in a Web Worker, which runs one
 * call at a time and leaves the main thread free.
 *
 * @module
 */
import * as Comlink from "comlink";
import type { workerApi } from "./executor_worker.ts";
import type { Tensors } from "./session.ts";
import type { StepResult, TrainingGraphs, TrainingOptions } from "./training_session.ts";

export type { Tensors } from "./session.ts";
export type { TrainingGraphs, TrainingOptions } from "./training_session.ts";

/** A graph that is loaded in the executor. */
export interface InferenceSession {
  /** Runs the graph once. */
  run(feeds: Tensors): Promise<Tensors>;
  /** Frees the graph's memory. */
  release(): Promise<void>;
}

/** A model in training; see `TrainingSession`. */
export interface RemoteTrainingSession extends InferenceSession {
  /**
   * Runs forward and backward on one batch, in one part or several whose losses and gradients add
   * up, and updates the weights; steps count from 1.
   */
  step(parts: Tensors[], step: number, learningRate: number): Promise<StepResult>;
  /** A copy of the present weights, by parameter name. */
  weights(): Promise<Record<string, Float32Array>>;
  /** Replaces the weights of all parameters. */
  setWeights(weights: Record<string, Float32Array>): Promise<void>;
}

/** Settings of {@link Executor}. */
export interface ExecutorOptions {
  /** How many threads onnxruntime uses; all logical cores by default. */
  threads?: number | undefined;
}

/** Runs graphs on one device. */
export class Executor implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #api: Comlink.Remote<typeof workerApi>;

  private constructor(worker: Worker) {
    this.#worker = worker;
    this.#api = Comlink.wrap<typeof workerApi>(worker as unknown as Comlink.Endpoint);
  }

  /** Starts the Worker. */
  static async start(options: ExecutorOptions = {}): Promise<Executor> {
    const worker = new Worker(new URL("./executor_worker.ts", import.meta.url), { type: "module" });
    const executor = new Executor(worker);
    await executor.#api.configure({ threads: options.threads ?? navigator.hardwareConcurrency });
    return executor;
  }

  /** Loads a serialised ModelProto for inference. */
  async loadSession(model: Uint8Array): Promise<InferenceSession> {
    return await this.#api.loadSession(model);
  }

  /** Loads a model for training, with its initial weights by parameter name. */
  async loadTrainingSession(
    graphs: TrainingGraphs,
    weights: Record<string, Float32Array>,
    options: TrainingOptions,
  ): Promise<RemoteTrainingSession> {
    return await this.#api.loadTrainingSession(graphs, weights, options);
  }

  /** Stops the Worker, with whatever it is running. */
  close(): void {
    this.#worker.terminate();
  }

  // deno-lint-ignore require-await
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}
