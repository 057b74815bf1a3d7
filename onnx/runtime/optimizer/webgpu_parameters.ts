/**
 * Parameters on the GPU: one buffer each for the weights, gradients and moments of every parameter,
 * which onnxruntime and the shaders of `kernels/kernels.wgsl` read and write in place.
 *
 * @module
 */
import { type AdamWOptions, NORM_EPSILON, type ParameterShape, stepFactors } from "./adamw.ts";
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
import type { DeviceTensors } from "../session.ts";
import { elementCount } from "../../graph/shape.ts";
import { arrayTensor, createArray, download, type GpuArray, gpuDevice, watch } from "../webgpu.ts";
import { type Dispatch, Kernels, PARTIAL_SUMS } from "./webgpu_kernels.ts";

const BYTES = Float32Array.BYTES_PER_ELEMENT;
const STEP_FLOATS = 7;
/** Loss and norm. */
const RESULT_FLOATS = 2;
/** Steps between reads of their results: each read waits for the GPU. */
const STEPS_PER_READ = 10;

interface Trained {
  gradient: GradientOutput;
  weights: GpuArray;
  gradients: GpuArray;
  firstMoments: GpuArray;
  secondMoments: GpuArray;
}

/** See `Parameters`. */
export class WebGpuParameters implements Parameters {
  readonly feeds: DeviceTensors = {};
  readonly #device: GPUDevice;
  readonly #check: () => void;
  readonly #kernels: Kernels;
  readonly #options: AdamWOptions;
  readonly #weights = new Map<string, GpuArray>();
  readonly #trained: Trained[] = [];
  /** The outputs that add up as they are, with their sums: all but tables' gradients. */
  readonly #sums = new Map<string, GpuArray>();
  readonly #targets: DeviceTensors = {};
  readonly #loss: GpuArray;
  readonly #partialSums: GpuArray;
  readonly #clipping: GpuArray;
  readonly #step: GpuArray;
  readonly #update: readonly Dispatch[];
  readonly #results: GpuArray;
  #unreadSteps = 0;

  private constructor(
    runtime: Runtime,
    device: GPUDevice,
    kernels: Kernels,
    shapes: readonly ParameterShape[],
    gradients: readonly GradientOutput[],
    options: AdamWOptions,
  ) {
    this.#device = device;
    this.#check = watch(device);
    this.#kernels = kernels;
    this.#options = options;
    this.#loss = createArray(device, BYTES);
    this.#partialSums = createArray(device, gradients.length * PARTIAL_SUMS * BYTES);
    this.#clipping = createArray(device, 2 * BYTES, GPUBufferUsage.UNIFORM);
    this.#step = createArray(device, STEP_FLOATS * BYTES, GPUBufferUsage.UNIFORM);
    this.#results = createArray(device, STEPS_PER_READ * RESULT_FLOATS * BYTES);

    this.#addTarget(runtime, LOSS, this.#loss, []);
    const outputs = new Map(gradients.map((gradient) => [gradient.parameter, gradient]));
    for (const { name, shape } of shapes) {
      const weights = createArray(device, elementCount(shape) * BYTES);
      this.#weights.set(name, weights);
      this.feeds[name] = arrayTensor(runtime.ort, weights, shape);
      const gradient = outputs.get(name);
      if (gradient === undefined) continue;
      const [gradients, firstMoments, secondMoments] = Array.from(
        { length: 3 },
        () => createArray(device, weights.size),
      ) as [GpuArray, GpuArray, GpuArray];
      this.#trained.push({ gradient, weights, gradients, firstMoments, secondMoments });
      if (gradient.indices === undefined) {
        this.#addTarget(runtime, gradient.output, gradients, shape);
      }
    }
    this.#update = this.#updateDispatches();
  }

  /**
   * Reserves memory; all values are zero at first. A graph must have been loaded before.
   *
   * @throws {DeviceError} If a parameter is too large for the GPU.
   */
  static async create(
    runtime: Runtime,
    shapes: readonly ParameterShape[],
    gradients: readonly GradientOutput[],
    options: AdamWOptions,
  ): Promise<WebGpuParameters> {
    const device = await gpuDevice(runtime.ort);
    const kernels = await Kernels.load(device);
    return new WebGpuParameters(runtime, device, kernels, shapes, gradients, options);
  }

  prepare(): void {
    // Every step changes all weights.
  }

  outputTargets(first: boolean): DeviceTensors {
    // A later part would overwrite the sum that it has to be added to.
    return first ? this.#targets : {};
  }

  addPart(outputs: DeviceTensors, first: boolean): void {
    const encoder = this.#device.createCommandEncoder();
    const dispatches: Dispatch[] = [];
    const temporary: GpuArray[] = [];
    if (!first) {
      for (const group of this.#kernels.groups([...this.#sums])) {
        dispatches.push(this.#kernels.group("add", {
          gradients: group.map(([, sum]) => sum),
          addends: group.map(([output, { size }]) => ({
            ...outputBinding(outputs[output]!),
            size,
          })),
        }));
      }
    }
    for (const { gradient: { output, indices }, gradients } of this.#trained) {
      if (indices === undefined) continue;
      if (first) encoder.clearBuffer(gradients.buffer);
      const values = outputs[output]!;
      const { rows, starts, places } = groupByRow(outputs[indices]!.data as BigInt64Array);
      const width = Uint32Array.of(values.dims.at(-1)!);
      const lists = [rows, starts, places, width].map((list) => this.#uploaded(list));
      temporary.push(...lists);
      const resources = [gradients, outputBinding(values), ...lists];
      dispatches.push(this.#kernels.single("add_rows", resources, rows.length));
    }
    this.#kernels.run(encoder, dispatches);
    this.#device.queue.submit([encoder.finish()]);
    for (const { buffer } of temporary) buffer.destroy();
    for (const [name, tensor] of Object.entries(outputs)) {
      if (tensor !== this.#targets[name]) tensor.dispose();
    }
  }

  async settle(): Promise<void> {
    await this.#device.queue.onSubmittedWorkDone();
  }

  async update(step: number, learningRate: number): Promise<StepResult[]> {
    const { beta1, beta2, maxGradientNorm } = this.#options;
    const { stepSize, epsilon, decay } = stepFactors(this.#options, step, learningRate);
    const values = [beta1, beta2, stepSize, epsilon, decay, maxGradientNorm, NORM_EPSILON];
    this.#device.queue.writeBuffer(this.#step.buffer, 0, Float32Array.from(values));

    const encoder = this.#device.createCommandEncoder();
    this.#kernels.run(encoder, this.#update);
    const place = this.#unreadSteps++ * RESULT_FLOATS * BYTES;
    for (const [i, { buffer }] of [this.#loss, this.#clipping].entries()) {
      encoder.copyBufferToBuffer(buffer, 0, this.#results.buffer, place + i * BYTES, BYTES);
    }
    this.#device.queue.submit([encoder.finish()]);
    return this.#unreadSteps === STEPS_PER_READ ? await this.results() : [];
  }

  async results(): Promise<StepResult[]> {
    const count = this.#unreadSteps;
    if (count === 0) return [];
    this.#unreadSteps = 0;
    const values = await download(this.#device, this.#results);
    this.#check();
    return Array.from({ length: count }, (_, i) => ({
      loss: values[RESULT_FLOATS * i]!,
      gradientNorm: values[RESULT_FLOATS * i + 1]!,
    }));
  }

  async values(kind: ParameterKind, name: string): Promise<Float32Array> {
    const values = await download(this.#device, this.#array(kind, name));
    this.#check();
    return values;
  }

  setValues(kind: ParameterKind, name: string, values: Float32Array): void {
    const { buffer, size } = this.#array(kind, name);
    checkCount(name, values, size / BYTES);
    this.#device.queue.writeBuffer(buffer, 0, values as Float32Array<ArrayBuffer>);
  }

  release(): void {
    const ofTrained = this.#trained.flatMap(({ gradients, firstMoments, secondMoments }) => [
      gradients,
      firstMoments,
      secondMoments,
    ]);
    const others = [this.#loss, this.#partialSums, this.#clipping, this.#step, this.#results];
    for (const { buffer } of [...this.#weights.values(), ...ofTrained, ...others]) buffer.destroy();
  }

  #addTarget({ ort }: Runtime, output: string, sum: GpuArray, shape: readonly number[]): void {
    this.#sums.set(output, sum);
    this.#targets[output] = arrayTensor(ort, sum, shape);
  }

  #updateDispatches(): Dispatch[] {
    // By size, so that the parameters of a group keep equally many workgroups busy.
    const bySize = this.#trained.toSorted((a, b) => b.weights.size - a.weights.size);
    const groups = this.#kernels.groups(bySize);
    const sumSquares = groups.map((group, i) => {
      const partialSums = {
        buffer: this.#partialSums.buffer,
        offset: i * this.#kernels.groupSize * PARTIAL_SUMS * BYTES,
        size: group.length * PARTIAL_SUMS * BYTES,
      };
      const gradients = group.map(({ gradients }) => gradients);
      return this.#kernels.group("sum_squares", { gradients }, [partialSums], PARTIAL_SUMS);
    });
    const clip = this.#kernels.single("clip", [this.#partialSums, this.#clipping, this.#step], 1);
    const adamw = groups.map((group) =>
      this.#kernels.group("adamw", {
        weights: group.map(({ weights }) => weights),
        first_moments: group.map(({ firstMoments }) => firstMoments),
        second_moments: group.map(({ secondMoments }) => secondMoments),
        gradients: group.map(({ gradients }) => gradients),
      }, [this.#clipping, this.#step])
    );
    return [...sumSquares, clip, ...adamw];
  }

  #array(kind: ParameterKind, name: string): GpuArray {
    const array = kind === "weights"
      ? this.#weights.get(name)
      : this.#trained.find(({ gradient }) => gradient.parameter === name)?.[kind];
    if (array === undefined) throw unknownParameter(kind, name);
    return array;
  }

  #uploaded(list: Uint32Array<ArrayBuffer>): GpuArray {
    const array = createArray(this.#device, list.byteLength);
    this.#device.queue.writeBuffer(array.buffer, 0, list);
    return array;
  }
}

/**
 * The places of a batch that read each row of a table, row by row: those of `rows[i]` are
 * `places[starts[i]]` to `places[starts[i + 1] - 1]`.
 */
function groupByRow(indices: BigInt64Array) {
  const byRow = Map.groupBy(indices.keys(), (place) => Number(indices[place]));
  const starts = [0];
  for (const places of byRow.values()) starts.push(starts.at(-1)! + places.length);
  return {
    rows: Uint32Array.from(byRow.keys()),
    starts: Uint32Array.from(starts),
    places: Uint32Array.from([...byRow.values()].flat()),
  };
}

function outputBinding(tensor: DeviceTensors[string]): { buffer: GPUBuffer } {
  return { buffer: tensor.gpuBuffer as unknown as GPUBuffer };
}
