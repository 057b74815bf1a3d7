/**
 * How much memory a device has for graphs, and how it reports that this was too little.
 *
 * @module
 */
import type { Device } from "./device.ts";

/** The memory that WebAssembly can address. */
const WASM_BYTES = 2 ** 32;

/**
 * The bytes that a device can hold now: on the CPU the machine's free memory, in WebAssembly at
 * most 4 GiB. Infinite where it is unknown: for a GPU, and without `--allow-sys=systemMemoryInfo`.
 */
export async function deviceMemory(device: Device): Promise<number> {
  if (device === "webgpu") return Infinity;
  const { state } = await Deno.permissions.query({ name: "sys", kind: "systemMemoryInfo" });
  const available = state === "granted" ? Deno.systemMemoryInfo().available : Infinity;
  return device === "wasm" ? Math.min(WASM_BYTES, available) : available;
}

/** A device had too little memory for what it was asked to run. */
export class OutOfMemoryError extends Error {
  override name = "OutOfMemoryError";
}

/** onnxruntime's messages; the last is for a size beyond 32 bits. */
const TOO_LITTLE = /bad_alloc|failed to allocate|SafeIntOnOverflow/i;

/** Whether an error of onnxruntime says that there was too little memory. */
export function saysOutOfMemory(error: unknown): error is Error {
  return error instanceof Error && TOO_LITTLE.test(error.message);
}
