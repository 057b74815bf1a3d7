/**
 * Parameters on the CPU: in the WebAssembly memory of `adamw.ts`.
 *
 * @module
 */
import { AdamW, type AdamWOptions, type ParameterShape } from "./adamw.ts";
import {
  checkCount,
  type GradientOutput,
  LOSS,
  type ParameterKind,
  type Parameters,
  type StepResult,
  unknownParameter,
} from "./parameters.ts";
import type { Runtime } from "./runtime.ts";
import type { DeviceTensors } from "./session.ts";
import { elementCount } from "./shape.ts";

/** See `Parameters`. */
export class HostParameters implements Parameters {
  readonly feeds: DeviceTensors = {};
  readonly #optimizer: AdamW;
  readonly #gradients: readonly GradientOutput[];
  /** The places of whole gradients, where onnxruntime can write to them. */
  readonly #targets: DeviceTensors = {};
  /** The rows whose gradients are not zero, by parameter, from the step before. */
  readonly #touchedRows = new Map<string, { rows: Set<number>; width: number }>();
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
    const optimizer = await AdamW.create(shapes.filter(({ name }) => trained.has(name)), options);
    return new HostParameters(runtime, shapes, gradients, optimizer);
  }

  outputTargets(first: boolean): DeviceTensors {
    // A later part would overwrite what it has to be added to.
    return first ? this.#targets : {};
  }

  addPart(outputs: DeviceTensors, first: boolean): void {
    const loss = Number(outputs[LOSS]!.data[0]);
    this.#loss = first ? loss : this.#loss + loss;
    if (first) this.#clearRows();
    for (const { parameter, output, indices } of this.#gradients) {
      const target = this.#optimizer.gradient(parameter);
      const values = outputs[output]!.data as Float32Array;
      if (indices !== undefined) {
        this.#addRows(parameter, target, values, outputs[indices]!.data as BigInt64Array);
      } else if (!first) {
        for (let i = 0; i < values.length; i++) target[i]! += values[i]!;
      } else if (this.#targets[output] === undefined) {
        target.set(values);
      }
    }
  }

  async settle(): Promise<void> {
    // Every call has done its work when it returns.
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
    return this.#view(kind, name).slice();
  }

  setValues(kind: ParameterKind, name: string, values: Float32Array): void {
    const view = this.#view(kind, name);
    checkCount(name, values, view.length);
    view.set(values);
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

  /** Zeroes the rows that the step before has written; whole gradients are overwritten instead. */
  #clearRows(): void {
    for (const [parameter, { rows, width }] of this.#touchedRows) {
      const target = this.#optimizer.gradient(parameter);
      for (const row of rows) target.fill(0, row * width, (row + 1) * width);
      rows.clear();
    }
  }

  #addRows(
    parameter: string,
    target: Float32Array,
    values: Float32Array,
    indices: BigInt64Array,
  ): void {
    const width = values.length / indices.length;
    const touched = this.#touchedRows.get(parameter) ?? { rows: new Set(), width };
    this.#touchedRows.set(parameter, touched);
    for (let i = 0; i < indices.length; i++) {
      const row = Number(indices[i]);
      touched.rows.add(row);
      for (let column = 0; column < width; column++) {
        target[row * width + column]! += values[i * width + column]!;
      }
    }
  }
}
