/**
 * A graph that onnxruntime has loaded. It runs inside the executor's Worker; `executor.ts` is the
 * way to it.
 *
 * @module
 */
import * as ort from "onnxruntime-web";
import type { TensorData } from "./graph.ts";

/** Named tensors, as a graph takes and gives them. */
export type Tensors = Record<string, TensorData>;

/** A loaded graph. */
export class Session {
  readonly #session: ort.InferenceSession;

  private constructor(session: ort.InferenceSession) {
    this.#session = session;
  }

  /** Loads a serialised ModelProto. */
  static async load(model: Uint8Array): Promise<Session> {
    return new Session(
      await ort.InferenceSession.create(model, {
        executionProviders: ["wasm"],
        graphOptimizationLevel: "all",
      }),
    );
  }

  /** Runs the graph once. Feeds that it does not take are left out. */
  async run(feeds: Tensors): Promise<Tensors> {
    const inputs: Record<string, ort.Tensor> = {};
    for (const name of this.#session.inputNames) {
      const feed = feeds[name];
      if (feed === undefined) throw new RangeError(`Cannot run the graph: no input '${name}'`);
      inputs[name] = new ort.Tensor(feed.type, feed.data, feed.shape);
    }
    const outputs: Tensors = {};
    for (const [name, { type, dims, data }] of Object.entries(await this.#session.run(inputs))) {
      outputs[name] = { type, shape: dims, data } as TensorData;
    }
    return outputs;
  }

  /** Frees the graph's memory. */
  async release(): Promise<void> {
    await this.#session.release();
  }
}
