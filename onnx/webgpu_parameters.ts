/**
 * Parameters on the GPU: a buffer each for the weights, gradients and moments of every parameter,
 * which onnxruntime and the shaders of `kernels/kernels.wgsl` read and write in place.
 *
 * @module
 */
import { type AdamWOptions, NORM_EPSILON, type ParameterShape, stepFactors } from "./adamw.ts";
import {
  checkCount,
  type GradientOutput,
  type ParameterKind,
  type Parameters,
  unknownParameter,
} from "./parameters.ts";
import type { Runtime } from "./runtime.ts";
import type { DeviceTensors } from "./session.ts";
import { elementCount } from "./shape.ts";
import { arrayTensor, createArray, download, type GpuArray, gpuDevice, watch } from "./webgpu.ts";

const BYTES = Float32Array.BYTES_PER_ELEMENT;
/** Threads of a workgroup; every adapter has as many. */
const THREADS = 256;
/** Workgroups that share the sum of squares of one gradient. */
const PARTIAL_SUMS = 64;
/** The most workgroups in one direction that every adapter allows. */
const MAX_WORKGROUPS = 65_535;
const STEP_FLOATS = 7;

interface Trained {
  gradient: GradientOutput;
  weights: GpuArray;
  gradients: GpuArray;
  firstMoments: GpuArray;
  secondMoments: GpuArray;
  sumSquares: GPUBindGroup;
  adamw: GPUBindGroup;
}

/** See `Parameters`. */
export class WebGpuParameters implements Parameters {
  readonly feeds: DeviceTensors = {};
  readonly #device: GPUDevice;
  readonly #check: () => void;
  readonly #pipelines: Pipelines;
  readonly #options: AdamWOptions;
  readonly #weights = new Map<string, GpuArray>();
  readonly #trained: Trained[] = [];
  readonly #targets: DeviceTensors = {};
  readonly #partialSums: GpuArray;
  readonly #clipping: GpuArray;
  readonly #step: GpuArray;
  readonly #clip: GPUBindGroup;

  private constructor(
    runtime: Runtime,
    device: GPUDevice,
    pipelines: Pipelines,
    shapes: readonly ParameterShape[],
    gradients: readonly GradientOutput[],
    options: AdamWOptions,
  ) {
    this.#device = device;
    this.#check = watch(device);
    this.#pipelines = pipelines;
    this.#options = options;
    this.#partialSums = createArray(device, gradients.length * PARTIAL_SUMS * BYTES);
    this.#clipping = createArray(device, 2 * BYTES);
    this.#step = createUniform(device, STEP_FLOATS * BYTES);
    this.#clip = this.#bind("clip", [this.#partialSums, this.#clipping, this.#step]);

    const outputs = new Map(gradients.map((gradient) => [gradient.parameter, gradient]));
    for (const { name, shape } of shapes) {
      const bytes = elementCount(shape) * BYTES;
      const weights = createArray(device, bytes);
      this.#weights.set(name, weights);
      this.feeds[name] = arrayTensor(runtime.ort, weights, shape);
      const gradient = outputs.get(name);
      if (gradient !== undefined) this.#addTrained(gradient, weights);
      if (gradient !== undefined && gradient.indices === undefined) {
        const { gradients } = this.#trained.at(-1)!;
        this.#targets[gradient.output] = arrayTensor(runtime.ort, gradients, shape);
      }
    }
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
    const pipelines = await createPipelines(device);
    return new WebGpuParameters(runtime, device, pipelines, shapes, gradients, options);
  }

  gradientTargets(first: boolean): DeviceTensors {
    // A later part would overwrite what it has to be added to.
    return first ? this.#targets : {};
  }

  addGradients(outputs: DeviceTensors, first: boolean): void {
    const encoder = this.#device.createCommandEncoder();
    const temporary: GpuArray[] = [];
    for (const { gradient: { output, indices }, gradients } of this.#trained) {
      const values = outputs[output]!;
      if (indices === undefined) {
        if (first) continue;
        this.#dispatch(
          encoder,
          "add",
          this.#bind("add", [gradients, outputBinding(values)]),
          workgroupsFor(gradients),
        );
        continue;
      }
      if (first) encoder.clearBuffer(gradients.buffer);
      const { rows, starts, places } = groupByRow(outputs[indices]!.data as BigInt64Array);
      const width = Uint32Array.of(values.dims.at(-1)!);
      const lists = [rows, starts, places, width].map((list) => this.#uploaded(list));
      temporary.push(...lists);
      this.#dispatch(
        encoder,
        "add_rows",
        this.#bind("add_rows", [gradients, outputBinding(values), ...lists]),
        Math.min(rows.length, MAX_WORKGROUPS),
      );
    }
    this.#device.queue.submit([encoder.finish()]);
    for (const { buffer } of temporary) buffer.destroy();
    for (const [name, tensor] of Object.entries(outputs)) {
      if (tensor !== this.#targets[name]) tensor.dispose();
    }
  }

  async update(step: number, learningRate: number): Promise<number> {
    const { beta1, beta2, maxGradientNorm } = this.#options;
    const { stepSize, epsilon, decay } = stepFactors(this.#options, step, learningRate);
    const values = [beta1, beta2, stepSize, epsilon, decay, maxGradientNorm, NORM_EPSILON];
    this.#device.queue.writeBuffer(this.#step.buffer, 0, Float32Array.from(values));

    const encoder = this.#device.createCommandEncoder();
    for (const { sumSquares } of this.#trained) {
      this.#dispatch(encoder, "sum_squares", sumSquares, PARTIAL_SUMS);
    }
    this.#dispatch(encoder, "clip", this.#clip, 1);
    for (const { adamw, weights } of this.#trained) {
      this.#dispatch(encoder, "adamw", adamw, workgroupsFor(weights));
    }
    this.#device.queue.submit([encoder.finish()]);
    const [norm] = await download(this.#device, this.#clipping);
    this.#check();
    return norm!;
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
    const others = [this.#partialSums, this.#clipping, this.#step];
    for (const { buffer } of [...this.#weights.values(), ...ofTrained, ...others]) buffer.destroy();
  }

  #addTrained(gradient: GradientOutput, weights: GpuArray): void {
    const [gradients, firstMoments, secondMoments] = Array.from(
      { length: 3 },
      () => createArray(this.#device, weights.size),
    ) as [GpuArray, GpuArray, GpuArray];
    const partialSums = {
      buffer: this.#partialSums.buffer,
      offset: this.#trained.length * PARTIAL_SUMS * BYTES,
      size: PARTIAL_SUMS * BYTES,
    };
    this.#trained.push({
      gradient,
      weights,
      gradients,
      firstMoments,
      secondMoments,
      sumSquares: this.#bind("sum_squares", [gradients, partialSums]),
      adamw: this.#bind("adamw", [
        weights,
        firstMoments,
        secondMoments,
        gradients,
        this.#clipping,
        this.#step,
      ]),
    });
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

  #bind(kernel: Kernel, resources: readonly GPUBufferBinding[]): GPUBindGroup {
    return this.#device.createBindGroup({
      layout: this.#pipelines[kernel].getBindGroupLayout(0),
      entries: resources.map((resource, binding) => ({ binding, resource })),
    });
  }

  #dispatch(
    encoder: GPUCommandEncoder,
    kernel: Kernel,
    group: GPUBindGroup,
    workgroups: number,
  ): void {
    const pass = encoder.beginComputePass();
    pass.setPipeline(this.#pipelines[kernel]);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(workgroups);
    pass.end();
  }
}

const KERNELS = ["sum_squares", "clip", "adamw", "add", "add_rows"] as const;
type Kernel = (typeof KERNELS)[number];
type Pipelines = Record<Kernel, GPUComputePipeline>;

async function createPipelines(device: GPUDevice): Promise<Pipelines> {
  const kernels = await Deno.readTextFile(new URL("./kernels/kernels.wgsl", import.meta.url));
  const constants = `const THREADS = ${THREADS}u; const PARTIAL_SUMS = ${PARTIAL_SUMS}u;\n`;
  const module = device.createShaderModule({ code: constants + kernels });
  const pipelines = KERNELS.map(async (entryPoint) => [
    entryPoint,
    await device.createComputePipelineAsync({ layout: "auto", compute: { module, entryPoint } }),
  ]);
  return Object.fromEntries(await Promise.all(pipelines));
}

/**
 * Which places of a batch read each row of a table, row by row: those of `rows[i]` are
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

function outputBinding(tensor: DeviceTensors[string]): GPUBufferBinding {
  return { buffer: tensor.gpuBuffer as unknown as GPUBuffer };
}

function createUniform(device: GPUDevice, size: number): GpuArray {
  const { UNIFORM, COPY_DST } = GPUBufferUsage;
  return { buffer: device.createBuffer({ size, usage: UNIFORM | COPY_DST }), size };
}

function workgroupsFor({ size }: GpuArray): number {
  return Math.min(Math.ceil(size / BYTES / THREADS), MAX_WORKGROUPS);
}
