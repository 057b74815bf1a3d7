/**
 * The masks of dropout on the GPU: a buffer for each site, which a shader of `kernels/kernels.wgsl`
 * fills with a window of the random numbers.
 *
 * @module
 */
import { type DropoutSite, type DropoutWindows, largestCount } from "../graph/dropout.ts";
import type { Runtime } from "./runtime.ts";
import type { DeviceTensors } from "./session.ts";
import { elementCount } from "../graph/shape.ts";
import { arrayTensor, createArray, type GpuArray, gpuDevice } from "./webgpu.ts";
import { type Dispatch, Kernels } from "./optimizer/webgpu_kernels.ts";

const BYTES = Float32Array.BYTES_PER_ELEMENT;
/** Start and length. */
const WINDOW_INTEGERS = 2;

/** Sites whose masks one dispatch fills. */
interface Group {
  sites: readonly DropoutSite[];
  windows: GpuArray;
  dispatch: Dispatch;
}

/** Masks on the GPU. */
export class WebGpuMasks {
  readonly #runtime: Runtime;
  readonly #device: GPUDevice;
  readonly #kernels: Kernels;
  readonly #windows: DropoutWindows;
  readonly #numbers: GpuArray[] = [];
  readonly #masks = new Map<DropoutSite, GpuArray>();
  readonly #groups: Group[] = [];

  private constructor(
    runtime: Runtime,
    device: GPUDevice,
    kernels: Kernels,
    windows: DropoutWindows,
    sites: readonly DropoutSite[],
    largest: readonly Readonly<Record<string, number>>[],
  ) {
    this.#runtime = runtime;
    this.#device = device;
    this.#kernels = kernels;
    this.#windows = windows;
    for (const site of sites) {
      const count = largestCount(site.shape, largest);
      this.#masks.set(site, createArray(device, count * BYTES));
    }
    for (const [probability, values] of windows.numbers) {
      const numbers = createArray(device, values.byteLength);
      device.queue.writeBuffer(numbers.buffer, 0, values);
      this.#numbers.push(numbers);
      const alike = sites.filter((site) => site.probability === probability);
      for (const group of kernels.groups(alike)) this.#addGroup(group, numbers);
    }
  }

  /**
   * Reserves memory for the masks of the largest batch. A graph must have been loaded before.
   *
   * @throws {DeviceError} If a mask is too large for the GPU.
   */
  static async create(
    runtime: Runtime,
    windows: DropoutWindows,
    sites: readonly DropoutSite[],
    largest: readonly Readonly<Record<string, number>>[],
  ): Promise<WebGpuMasks> {
    const device = await gpuDevice(runtime.ort);
    const kernels = await Kernels.load(device);
    return new WebGpuMasks(runtime, device, kernels, windows, sites, largest);
  }

  /**
   * The masks of one step, or of one part of its batch, as inputs of the graph. They are valid
   * until the next call.
   *
   * @param dimensions The values of the symbols in the sites' shapes.
   */
  feeds(step: number, dimensions: Readonly<Record<string, number>>, part = 0): DeviceTensors {
    const windows = new Map(
      this.#windows.of(step, dimensions, part).map((window) => [window.site, window]),
    );
    for (const { sites, windows: { buffer } } of this.#groups) {
      const integers = sites.flatMap((site) => {
        const { start, shape } = windows.get(site)!;
        return [start, elementCount(shape)];
      });
      this.#device.queue.writeBuffer(buffer, 0, Uint32Array.from(integers));
    }
    const encoder = this.#device.createCommandEncoder();
    this.#kernels.run(encoder, this.#groups.map(({ dispatch }) => dispatch));
    this.#device.queue.submit([encoder.finish()]);
    return Object.fromEntries(
      [...windows.values()].map(({ site, shape }) => [
        site.input,
        arrayTensor(this.#runtime.ort, this.#masks.get(site)!, shape),
      ]),
    );
  }

  /** Frees the device's memory. */
  release(): void {
    const windows = this.#groups.map(({ windows }) => windows);
    for (const { buffer } of [...this.#numbers, ...this.#masks.values(), ...windows]) {
      buffer.destroy();
    }
  }

  #addGroup(sites: readonly DropoutSite[], numbers: GpuArray): void {
    const size = sites.length * WINDOW_INTEGERS * Uint32Array.BYTES_PER_ELEMENT;
    const windows = createArray(this.#device, size);
    const masks = sites.map((site) => this.#masks.get(site)!);
    const dispatch = this.#kernels.group("copy_windows", { masks }, [numbers, windows]);
    this.#groups.push({ sites, windows, dispatch });
  }
}
