/**
 * Parameters on the CPU: in the WebAssembly memory of `adamw.ts`.
 *
 * @module
 */
import { AdamW, type AdamWOptions, type ParameterShape } from "./adamw.ts";
import type { GradientOutput } from "../../graph/gradient.ts";
import {
  checkCount,
  LOSS,
  type ParameterKind,
  type Parameters,
  type StepResult,
  unknownParameter,
} from "./parameters.ts";
import type { Runtime } from "../runtime.ts";
import type { DeviceTensors, Tensors } from "../session.ts";
import { elementCount } from "../../graph/shape.ts";

/** See `Parameters`. */
export class HostParameters implements Parameters {
  readonly feeds: DeviceTensors = {};
  readonly #optimizer: AdamW;
  readonly #gradients: readonly GradientOutput[];
  /** Where onnxruntime can write whole gradients in place. */
  readonly #targets: DeviceTensors = {};
  /** The same for the later parts of a step, which are then added; made when one comes. */
  #laterTargets: DeviceTensors | undefined;
  readonly #runtime: Runtime;
  #loss = 0;

  private constructor(
    runtime: Runtime,
    shapes: readonly ParameterShape[],
    gradients: readonly GradientOutput[],
    optimizer: AdamW,
  ) {
    const { Tensor } = runtime.ort;
    const outputs = new Map(gradients.map((gradient) => [gradient.parameter, gradient]));
    for (const { name, shape } of shapes) {
      const gradient = outputs.get(name);
      const values = gradient === undefined
        ? new Float32Array(elementCount(shape))
        : optimizer.weights(name);
      this.feeds[name] = new Tensor("float32", values, shape);
      // Native code reads and writes that memory in place; WebAssembly has a memory of its own.
      if (runtime.device === "native" && gradient !== undefined && gradient.indices === undefined) {
        this.#targets[gradient.output] = new Tensor("float32", optimizer.gradient(name), shape);
      }
    }
    this.#runtime = runtime;
    this.#optimizer = optimizer;
    this.#gradients = gradients;
  }

  /** Reserves memory; all values are zero at first. */
  static async create(
    runtime: Runtime,
    shapes: readonly ParameterShape[],
    gradients: readonly GradientOutput[],
    options: AdamWOptions,
  ): Promise<HostParameters> {
    const trained = new Set(gradients.map(({ parameter }) => parameter));
    const tables = gradients.filter(({ indices }) => indices !== undefined);
    const optimizer = await AdamW.create(
      shapes.filter(({ name }) => trained.has(name)),
      options,
      new Set(tables.map(({ parameter }) => parameter)),
    );
    return new HostParameters(runtime, shapes, gradients, optimizer);
  }

  prepare(batch?: Tensors): void {
    for (const { parameter, indices } of this.#gradients) {
      if (indices === undefined) continue;
      const rows = batch?.[indices]?.data;
      if (rows === undefined) return this.#optimizer.settle();
      this.#optimizer.settleRows(parameter, rows as BigInt64Array);
    }
  }

  outputTargets(first: boolean): DeviceTensors {
    if (first) return this.#targets;
    // Keeping the memory costs less than fresh pages for each part.
    this.#laterTargets ??= Object.fromEntries(
      Object.entries(this.#targets).map((
        [output, { type, size, dims }],
      ) => [output, new this.#runtime.ort.Tensor(type, new Float32Array(size), dims)]),
    );
    return this.#laterTargets;
  }

  addPart(outputs: DeviceTensors, first: boolean): void {
    const loss = Number(outputs[LOSS]!.data[0]);
    this.#loss = first ? loss : this.#loss + loss;
    if (first) this.#optimizer.clearRows();
    for (const { parameter, output, indices } of this.#gradients) {
      const values = outputs[output]!.data as Float32Array;
      if (indices !== undefined) {
        this.#optimizer.addRows(parameter, values, outputs[indices]!.data as BigInt64Array);
        continue;
      }
      const target = this.#optimizer.gradient(parameter);
      if (!first) {
        for (let i = 0; i < values.length; i++) target[i]! += values[i]!;
      } else if (this.#targets[output] === undefined) {
        target.set(values);
      }
    }
  }

  async settle(): Promise<void> {
    // Every call is done when it returns.
  }

  // deno-lint-ignore require-await
  async update(step: number, learningRate: number): Promise<StepResult[]> {
    return [{ loss: this.#loss, gradientNorm: this.#optimizer.step(step, learningRate) }];
  }

  // deno-lint-ignore require-await
  async results(): Promise<StepResult[]> {
    return [];
  }

  // deno-lint-ignore require-await
  async values(kind: ParameterKind, name: string): Promise<Float32Array> {
    this.#optimizer.settle();
    return this.#view(kind, name).slice();
  }

  setValues(kind: ParameterKind, name: string, values: Float32Array): void {
    const view = this.#view(kind, name);
    checkCount(name, values, view.length);
    if (kind === "weights") {
      // The deferred decay is for the old weights, not for the new ones.
      this.#optimizer.settle();
      view.set(values);
    } else this.#optimizer.setMoments(kind, name, values);
  }

  release(): void {
    // The memory goes with the object.
  }

  #view(kind: ParameterKind, name: string): Float32Array {
    const weights = this.feeds[name]?.data as Float32Array | undefined;
    const isTrained = this.#gradients.some(({ parameter }) => parameter === name);
    if (weights === undefined || (kind !== "weights" && !isTrained)) {
      throw unknownParameter(kind, name);
    }
    return kind === "weights" ? weights : this.#optimizer[kind](name);
  }
}
