/**
 * The GPU that onnxruntime's WebGPU provider works on: buffers, and compute shaders of our own.
 *
 * @module
 */
import type { Ort } from "./runtime.ts";

/** Threads of a workgroup; every adapter has as many. */
export const WORKGROUP_SIZE = 256;

const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;

/** The GPU that onnxruntime uses, once a graph has been loaded. */
export async function gpuDevice({ env }: Ort): Promise<GPUDevice> {
  return await env.webgpu.device as unknown as GPUDevice;
}

/** A tensor's place in a buffer. */
export interface GpuArray {
  buffer: GPUBuffer;
  /** In bytes, without the buffer's padding. */
  size: number;
}

/** Room for values that shaders and onnxruntime can read and write, zero at first. */
export function createArray(device: GPUDevice, size: number): GpuArray {
  // Shaders of onnxruntime take four elements at a time.
  const padded = Math.ceil(size / 16) * 16;
  return {
    buffer: device.createBuffer({ size: padded, usage: STORAGE | COPY_SRC | COPY_DST }),
    size,
  };
}

/** Values as a float32 tensor of onnxruntime. */
export function arrayTensor({ Tensor }: Ort, { buffer }: GpuArray, dims: readonly number[]) {
  return Tensor.fromGpuBuffer(buffer as never, { dataType: "float32", dims });
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
