/**
 * How much memory a device has for graphs, and how one says that it was too little.
 *
 * @module
 */
import type { Device } from "./device.ts";

/** All that WebAssembly can address. */
const WASM_BYTES = 2 ** 32;

/**
 * How many bytes a device can hold now: on the CPU what the machine has free, in WebAssembly 4 GiB at
 * most. Infinite where nobody says it: of a GPU, and where Deno may not ask
 * (`--allow-sys=systemMemoryInfo`).
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

/** What onnxruntime says, and of a size that 32 bits do not count. */
const TOO_LITTLE = /bad_alloc|failed to allocate|SafeIntOnOverflow/i;

/** Whether an error of onnxruntime says that memory was too little. */
export function saysOutOfMemory(error: unknown): error is Error {
  return error instanceof Error && TOO_LITTLE.test(error.message);
}
