/**
 * The GPU of onnxruntime's WebGPU provider: buffers, and compute shaders of our own.
 *
 * @module
 */
import { DeviceError } from "./device.ts";
import type { Ort } from "./runtime.ts";

const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;

/** The GPU that onnxruntime uses, once a graph has been loaded. */
export async function gpuDevice({ env }: Ort): Promise<GPUDevice> {
  return await env.webgpu.device as unknown as GPUDevice;
}

/**
 * Watches a GPU for errors, which the calls that cause them do not report.
 *
 * @returns A check that throws a {@link DeviceError} after an error.
 */
export function watch(device: GPUDevice): () => void {
  let failure: string | undefined;
  device.addEventListener("uncapturederror", (event) => {
    failure ??= (event as GPUUncapturedErrorEvent).error.message;
  });
  void device.lost.then(({ message }) => failure ??= message);
  return () => {
    if (failure === undefined) return;
    throw new DeviceError(`Cannot go on with device 'webgpu': ${failure}`);
  };
}

/** A tensor's place in a buffer. */
export interface GpuArray {
  buffer: GPUBuffer;
  /** In bytes, without the buffer's padding. */
  size: number;
}

/** The most bytes that {@link createArray} can reserve at once. */
export function maxArrayBytes({ limits }: GPUDevice): number {
  const limit = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
  return limit - limit % 16;
}

/**
 * Room for values that shaders and onnxruntime can read and write, zero at first.
 *
 * @param usage Further uses of the buffer.
 * @throws {DeviceError} If the GPU has no buffers of this size.
 */
export function createArray(device: GPUDevice, size: number, usage = 0): GpuArray {
  // onnxruntime's shaders take four elements at a time.
  const padded = Math.ceil(size / 16) * 16;
  const limit = maxArrayBytes(device);
  if (padded > limit) {
    throw new DeviceError(
      `Cannot use device 'webgpu': a table needs ${padded} bytes in one buffer, and this GPU allows ` +
        `${limit}; use 'native' or 'wasm'`,
    );
  }
  return {
    buffer: device.createBuffer({ size: padded, usage: STORAGE | COPY_SRC | COPY_DST | usage }),
    size,
  };
}

/** Values as a float32 tensor of onnxruntime; disposing of it frees them. */
export function arrayTensor({ Tensor }: Ort, { buffer }: GpuArray, dims: readonly number[]) {
  const dispose = () => buffer.destroy();
  return Tensor.fromGpuBuffer(buffer as never, { dataType: "float32", dims, dispose });
}

/** Copies values from the GPU. */
export async function download(
  device: GPUDevice,
  { buffer, size }: GpuArray,
): Promise<Float32Array> {
  const staging = device.createBuffer({ size, usage: MAP_READ | COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(buffer, 0, staging, 0, size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const values = new Float32Array(staging.getMappedRange().slice(0));
  staging.destroy();
  return values;
}
