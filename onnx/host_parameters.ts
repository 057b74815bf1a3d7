/**
 * Parameters on the CPU: in the WebAssembly memory of `adamw.ts`.
 *
 * @module
 */
import type * as ort from "onnxruntime-web";
import { AdamW, type AdamWOptions, type ParameterShape } from "./adamw.ts";
import type { GradientOutput, Parameters, ParameterValues, TrainingState } from "./parameters.ts";
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

  gradientTargets(first: boolean): DeviceTensors {
    // A later part would overwrite what it has to be added to.
    return first ? this.#targets : {};
  }

  addGradients(outputs: DeviceTensors, first: boolean): void {
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

  // deno-lint-ignore require-await
  async update(step: number, learningRate: number): Promise<number> {
    return this.#optimizer.step(step, learningRate);
  }

  // deno-lint-ignore require-await
  async weights(): Promise<ParameterValues> {
    return copies(Object.entries(this.feeds).map(([name, tensor]) => [name, floats(tensor)]));
  }

  setWeights(weights: ParameterValues): void {
    setAll(Object.entries(this.feeds).map(([name, tensor]) => [name, floats(tensor)]), weights);
  }

  async state(): Promise<TrainingState> {
    const { first, second } = this.#moments();
    return {
      weights: await this.weights(),
      firstMoments: copies(first),
      secondMoments: copies(second),
    };
  }

  setState({ weights, firstMoments, secondMoments }: TrainingState): void {
    const { first, second } = this.#moments();
    this.setWeights(weights);
    setAll(first, firstMoments);
    setAll(second, secondMoments);
  }

  release(): void {
    // The memory goes with the object.
  }

  #moments(): Record<"first" | "second", [string, Float32Array][]> {
    const names = this.#gradients.map(({ parameter }) => parameter);
    return {
      first: names.map((name) => [name, this.#optimizer.firstMoments(name)]),
      second: names.map((name) => [name, this.#optimizer.secondMoments(name)]),
    };
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

function floats(tensor: ort.Tensor): Float32Array {
  return tensor.data as Float32Array;
}

function copies(entries: readonly [string, Float32Array][]): ParameterValues {
  return Object.fromEntries(entries.map(([name, values]) => [name, values.slice()]));
}

function setAll(targets: readonly [string, Float32Array][], values: ParameterValues): void {
  for (const [name, target] of targets) target.set(checkedValues(values, name, target.length));
}

/**
 * One parameter's values.
 *
 * @throws {RangeError} If they are missing, or are not so many.
 */
export function checkedValues(
  values: ParameterValues,
  name: string,
  count: number,
): Float32Array {
  const found = values[name];
  if (found?.length === count) return found;
  throw new RangeError(
    `Cannot set '${name}': it must have ${count} values, got ${found?.length ?? "none"}`,
  );
}
