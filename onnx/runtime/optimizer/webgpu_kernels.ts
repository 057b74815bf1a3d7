/**
 * The shaders of `kernels/kernels.wgsl`. Each takes many parameters in one dispatch: most are so small
 * that a GPU would spend its time on launches.
 *
 * @module
 */
import type { GpuArray } from "../webgpu.ts";

/** Threads of a workgroup; every adapter has as many. */
const THREADS = 256;
/** Workgroups that share the sum of squares of one gradient. */
export const PARTIAL_SUMS = 64;
/** Workgroups that share one parameter; enough to keep a large GPU busy. */
const MAX_WORKGROUPS = 1024;
/** The most parameters in one dispatch; more would save little. */
const MAX_GROUP_SIZE = 16;

/** The label of the compute passes that run these kernels; onnxruntime's have others. */
export const PASS_LABEL = "graft";

/** The kinds of arrays that a kernel takes, one for each parameter. */
const GROUP_ARRAYS = [
  "weights",
  "first_moments",
  "second_moments",
  "gradients",
  "addends",
  "masks",
] as const;
/** The most kinds that one kernel takes. */
const ARRAYS_AT_ONCE = 4;
/** The first binding of these arrays, after those that a kernel has once. */
const GROUP_BINDINGS = 8;

type GroupArrays = Partial<Record<(typeof GROUP_ARRAYS)[number], readonly GpuArray[]>>;

/** The names of the kernels. */
type KernelName =
  | "sum_squares"
  | "clip"
  | "adamw"
  | "add"
  | "add_rows"
  | "copy_windows";

/** A kernel with its bindings, to be run any number of times. */
export interface Dispatch {
  pipeline: GPUComputePipeline;
  bindings: GPUBindGroup;
  /** Workgroups for each parameter, and parameters. */
  workgroups: [number, number];
}

/** The kernels on one GPU. */
export class Kernels {
  /** How many parameters a dispatch can take. */
  readonly groupSize: number;
  readonly #device: GPUDevice;
  readonly #source: string;
  readonly #modules = new Map<number, GPUShaderModule>();
  readonly #pipelines = new Map<string, GPUComputePipeline>();

  private constructor(device: GPUDevice, source: string) {
    const { maxStorageBuffersPerShaderStage: buffers } = device.limits;
    this.groupSize = Math.min(Math.floor(buffers / ARRAYS_AT_ONCE), MAX_GROUP_SIZE);
    this.#device = device;
    this.#source = source;
  }

  /** Reads the kernels; they are compiled on first use. */
  static async load(device: GPUDevice): Promise<Kernels> {
    const source = await Deno.readTextFile(new URL("../kernels/kernels.wgsl", import.meta.url));
    return new Kernels(device, source);
  }

  /** Splits a list into groups that fit into one dispatch. */
  groups<Item>(items: readonly Item[]): Item[][] {
    const size = this.groupSize;
    const count = Math.ceil(items.length / size);
    return Array.from({ length: count }, (_, i) => items.slice(i * size, (i + 1) * size));
  }

  /** A kernel that takes no group, with its bindings in their order. */
  single(name: KernelName, resources: readonly GPUBufferBinding[], workgroups: number): Dispatch {
    return this.#dispatch(name, 1, resources.map(binding), [
      Math.min(workgroups, MAX_WORKGROUPS),
      1,
    ]);
  }

  /**
   * A kernel for a group of parameters.
   *
   * @param arrays For each kind that the kernel takes, the arrays of all parameters.
   * @param resources The buffers that it takes once.
   * @param workgroups How many each parameter gets; by default from the size of the largest.
   */
  group(
    name: KernelName,
    arrays: GroupArrays,
    resources: readonly GPUBufferBinding[] = [],
    workgroups?: number,
  ): Dispatch {
    const lists = Object.values(arrays);
    const size = lists[0]!.length;
    const entries = GROUP_ARRAYS.flatMap((kind, i) =>
      (arrays[kind] ?? []).map(({ buffer, size: bytes }, parameter) => ({
        binding: GROUP_BINDINGS + i * size + parameter,
        // Without the buffer's padding, which onnxruntime may write to.
        resource: { buffer, size: bytes },
      }))
    );
    const largest = Math.max(...lists[0]!.map((array) => array.size));
    const needed = Math.ceil(largest / Float32Array.BYTES_PER_ELEMENT / THREADS);
    return this.#dispatch(name, size, [...resources.map(binding), ...entries], [
      workgroups ?? Math.min(needed, MAX_WORKGROUPS),
      size,
    ]);
  }

  /** Runs kernels one after the other. */
  run(encoder: GPUCommandEncoder, dispatches: Iterable<Dispatch>): void {
    const pass = encoder.beginComputePass({ label: PASS_LABEL });
    for (const { pipeline, bindings, workgroups } of dispatches) {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindings);
      pass.dispatchWorkgroups(...workgroups);
    }
    pass.end();
  }

  #dispatch(
    name: KernelName,
    groupSize: number,
    entries: GPUBindGroupEntry[],
    workgroups: [number, number],
  ): Dispatch {
    const pipeline = this.#pipeline(name, groupSize);
    const layout = pipeline.getBindGroupLayout(0);
    return { pipeline, bindings: this.#device.createBindGroup({ layout, entries }), workgroups };
  }

  #pipeline(name: KernelName, groupSize: number): GPUComputePipeline {
    const key = `${name} ${groupSize}`;
    const known = this.#pipelines.get(key);
    if (known !== undefined) return known;
    const module = this.#module(groupSize);
    const compute = { module, entryPoint: name };
    const pipeline = this.#device.createComputePipeline({ layout: "auto", compute });
    this.#pipelines.set(key, pipeline);
    return pipeline;
  }

  #module(groupSize: number): GPUShaderModule {
    const known = this.#modules.get(groupSize);
    if (known !== undefined) return known;
    const constants = `const THREADS = ${THREADS}u; const PARTIAL_SUMS = ${PARTIAL_SUMS}u;`;
    const arrays = GROUP_ARRAYS.map((kind, i) =>
      declareArrays(kind, groupSize, GROUP_BINDINGS + i * groupSize)
    );
    const code = [constants, ...arrays, this.#source].join("\n");
    const module = this.#device.createShaderModule({ code });
    this.#modules.set(groupSize, module);
    return module;
  }
}

function binding(resource: GPUBufferBinding, binding: number): GPUBindGroupEntry {
  return { binding, resource };
}

/** The arrays of a group, and the functions through which `kernels.wgsl` accesses them. */
function declareArrays(kind: string, size: number, firstBinding: number): string {
  const parameters = Array.from({ length: size }, (_, parameter) => parameter);
  const byParameter = (statement: (array: string) => string) =>
    `switch parameter { ${
      parameters.map((parameter) =>
        // The last one is the default that WGSL requires.
        `${parameter === size - 1 ? "default" : `case ${parameter}u`}: { ${
          statement(`${kind}_${parameter}`)
        } }`
      ).join(" ")
    } }`;
  return `
${
    parameters.map((parameter) =>
      `@group(0) @binding(${firstBinding + parameter}) ` +
      `var<storage, read_write> ${kind}_${parameter}: array<f32>;`
    ).join("\n")
  }
fn ${kind}_count(parameter: u32) -> u32 { ${
    byParameter((array) => `return arrayLength(&${array});`)
  } }
fn ${kind}_at(parameter: u32, i: u32) -> f32 { ${byParameter((array) => `return ${array}[i];`)} }
fn set_${kind}(parameter: u32, i: u32, value: f32) { ${
    byParameter((array) => `${array}[i] = value;`)
  } }`;
}
