/**
 * A graph that onnxruntime has loaded. It runs inside the executor's Worker; `executor.ts` is the
 * way to it.
 *
 * @module
 */
import type * as ort from "onnxruntime-web";
import type { TensorData } from "./graph.ts";
import type { Runtime } from "./runtime.ts";

/** Named tensors, as a graph takes and gives them. */
export type Tensors = Record<string, TensorData>;

/** Named tensors that onnxruntime holds, perhaps on the device. */
export type DeviceTensors = Record<string, ort.Tensor>;

/** onnxruntime's warnings speak to its developers. */
const LOG_ERRORS = 3;

/** A loaded graph. */
export class Session {
  readonly #runtime: Runtime;
  readonly #session: ort.InferenceSession;

  private constructor(runtime: Runtime, session: ort.InferenceSession) {
    this.#runtime = runtime;
    this.#session = session;
  }

  /**
   * Loads a serialised ModelProto.
   *
   * @param outputsOnDevice The outputs that stay on the device; others are copied to the host.
   */
  static async load(
    runtime: Runtime,
    model: Uint8Array,
    outputsOnDevice: readonly string[] = [],
  ): Promise<Session> {
    const session = await runtime.ort.InferenceSession.create(model, {
      ...runtime.sessionOptions,
      graphOptimizationLevel: "all",
      logSeverityLevel: LOG_ERRORS,
      ...(runtime.device === "webgpu" && {
        preferredOutputLocation: Object.fromEntries(
          outputsOnDevice.map((name) => [name, "gpu-buffer"]),
        ),
      }),
    });
    return new Session(runtime, session);
  }

  /** Runs the graph once. Feeds that it does not take are left out. */
  async run(feeds: Tensors): Promise<Tensors> {
    return hostTensors(await this.runOnDevice(feeds));
  }

  /**
   * Runs the graph once, on feeds that may be on the device already.
   *
   * @param targets Where outputs are written that already have a place.
   */
  async runOnDevice(
    feeds: Record<string, TensorData | ort.Tensor>,
    targets: DeviceTensors = {},
  ): Promise<DeviceTensors> {
    const inputs: DeviceTensors = {};
    for (const name of this.#session.inputNames) {
      const feed = feeds[name];
      if (feed === undefined) throw new RangeError(`Cannot run the graph: no input '${name}'`);
      inputs[name] = "dims" in feed
        ? feed
        : new this.#runtime.ort.Tensor(feed.type, feed.data, feed.shape);
    }
    const outputs = Object.fromEntries(
      this.#session.outputNames.map((name) => [name, targets[name] ?? null]),
    );
    return await this.#session.run(inputs, outputs);
  }

  /** Frees the graph's memory. */
  async release(): Promise<void> {
    await this.#session.release();
  }
}

/** Values of tensors that are on the host. */
export function hostTensors(tensors: DeviceTensors): Tensors {
  return Object.fromEntries(
    Object.entries(tensors).map((
      [name, { type, dims, data }],
    ) => [name, { type, shape: dims, data } as TensorData]),
  );
}
