/**
 * The Worker behind {@link Executor}: onnxruntime and everything that lives on the device.
 *
 * @module
 */
import "./wasm_memory.ts";
import * as Comlink from "comlink";
import * as ort from "onnxruntime-web";
import { Session, type Tensors } from "./session.ts";
import { type TrainingGraphs, type TrainingOptions, TrainingSession } from "./training_session.ts";

/** Runs tasks one after the other: onnxruntime must never have two calls in flight. */
class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();

  run<Result>(task: () => Result | Promise<Result>): Promise<Result> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => {});
    return result;
  }
}

const queue = new SerialQueue();

/** What the Worker offers to `executor.ts`. */
export const workerApi = {
  /** Sets what has to be known before the first graph is loaded. */
  configure({ threads }: { threads: number }): void {
    ort.env.wasm.numThreads = threads;
    ort.env.logLevel = "error";
  },

  /** Loads a graph for inference. */
  loadSession(model: Uint8Array) {
    return queue.run(async () => {
      const session = await Session.load(model);
      return Comlink.proxy({
        run: (feeds: Tensors) => queue.run(() => session.run(feeds)),
        release: () => queue.run(() => session.release()),
      });
    });
  },

  /** Loads a model for training. */
  loadTrainingSession(
    graphs: TrainingGraphs,
    weights: Record<string, Float32Array>,
    options: TrainingOptions,
  ) {
    return queue.run(async () => {
      const session = await TrainingSession.load(graphs, weights, options);
      return Comlink.proxy({
        step: (parts: Tensors[], step: number, learningRate: number) =>
          queue.run(() => session.step(parts, step, learningRate)),
        run: (batch: Tensors) => queue.run(() => session.run(batch)),
        weights: () => queue.run(() => session.weights()),
        setWeights: (weights: Record<string, Float32Array>) =>
          queue.run(() => session.setWeights(weights)),
        release: () => queue.run(() => session.release()),
      });
    });
  },
};

Comlink.expose(workerApi);
