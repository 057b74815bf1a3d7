/**
 * A graph loaded in onnxruntime, inside the executor's Worker, behind `executor.ts`.
 *
 * @module
 */
import type * as ort from "onnxruntime-web";
import { DerivedInputs } from "../graph/derived_inputs.ts";
import type { TensorData } from "../graph/graph.ts";
import type { Runtime } from "./runtime.ts";

/** Named tensors, the inputs or outputs of a graph. */
export type Tensors = Record<string, TensorData>;

/** Named tensors that onnxruntime holds, perhaps on the device. */
export type DeviceTensors = Record<string, ort.Tensor>;

/** How {@link Session.load} loads a graph. */
export interface LoadOptions {
  /** The outputs that stay on the device; others are copied to the host. */
  outputsOnDevice?: readonly string[];
  /**
   * Whether native code keeps the memory of a run for the next one of the same shape. It saves time
   * in small runs, and wastes memory in large ones: 50 MB and more in training.
   */
  keepsMemory?: boolean;
}

/** onnxruntime's warnings are for its developers. */
const LOG_ERRORS = 3;

/** A loaded graph. */
export class Session {
  readonly #runtime: Runtime;
  readonly #session: ort.InferenceSession;
  readonly #derived: DerivedInputs;

  private constructor(runtime: Runtime, session: ort.InferenceSession) {
    this.#runtime = runtime;
    this.#session = session;
    const inputs = session.inputMetadata.flatMap((input) => input.isTensor ? [input] : []);
    this.#derived = new DerivedInputs(inputs);
  }

  /** Loads a serialised ModelProto. */
  static async load(
    runtime: Runtime,
    model: Uint8Array,
    { outputsOnDevice = [], keepsMemory = false }: LoadOptions = {},
  ): Promise<Session> {
    const session = await runtime.ort.InferenceSession.create(model, {
      ...runtime.sessionOptions,
      graphOptimizationLevel: "all",
      logSeverityLevel: LOG_ERRORS,
      ...(runtime.device === "native" && {
        enableCpuMemArena: keepsMemory,
        enableMemPattern: keepsMemory,
      }),
      ...(runtime.device === "webgpu" && {
        preferredOutputLocation: Object.fromEntries(
          outputsOnDevice.map((name) => [name, "gpu-buffer"]),
        ),
      }),
    });
    return new Session(runtime, session);
  }

  /** The values of the symbols in the inputs' shapes, as far as these feeds show them. */
  dimensions(feeds: Tensors): Record<string, number> {
    return this.#derived.dimensions(feeds);
  }

  /** The names of the graph's outputs. */
  get outputNames(): readonly string[] {
    return this.#session.outputNames;
  }

  /** Runs the graph once, without the feeds that it does not take. */
  async run(feeds: Tensors): Promise<Tensors> {
    return hostTensors(await this.runOnDevice(feeds));
  }

  /**
   * Runs the graph once on feeds that may already be on the device.
   *
   * @param targets The tensors to write some of the outputs to.
   */
  async runOnDevice(
    feeds: Record<string, TensorData | ort.Tensor>,
    targets: DeviceTensors = {},
  ): Promise<DeviceTensors> {
    const inputs: DeviceTensors = {};
    const derived = this.#derived.from(feeds);
    for (const name of this.#session.inputNames) {
      const feed = feeds[name] ?? derived[name];
      if (feed === undefined) throw new RangeError(`Cannot run the graph: no input '${name}'`);
      inputs[name] = "dims" in feed
        ? feed
        : new this.#runtime.ort.Tensor(feed.type, feed.data, feed.shape);
    }
    // An output that is an input would come back from the device, and the run would wait for it.
    const same = Object.fromEntries(
      this.#session.outputNames.flatMap((name) => name in inputs ? [[name, inputs[name]!]] : []),
    );
    const wanted = this.#session.outputNames.filter((name) => !(name in same));
    const outputs = Object.fromEntries(wanted.map((name) => [name, targets[name] ?? null]));
    return { ...await this.#session.run(inputs, outputs), ...same };
  }

  /** Frees the graph's memory. */
  async release(): Promise<void> {
    await this.#session.release();
  }
}

/** The values of tensors on the host. */
export function hostTensors(tensors: DeviceTensors): Tensors {
  return Object.fromEntries(
    Object.entries(tensors).map((
      [name, { type, dims, data }],
    ) => [name, { type, shape: dims, data } as TensorData]),
  );
}
