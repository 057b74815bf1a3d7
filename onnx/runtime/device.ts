/**
 * The devices that graphs can run on, and the choice of one.
 *
 * @module
 */

/** The name of a device: a GPU, or the CPU in WebAssembly or in native code. */
export type Device = "webgpu" | "wasm" | "native";

/** All devices. */
export const DEVICES: readonly Device[] = ["webgpu", "wasm", "native"];

/** The folder of native code, into which `deno task install:native` puts it. */
export const NATIVE_PACKAGES: URL = new URL("../native/node_modules/", import.meta.url);

/** The package of native code. */
export const NATIVE_PACKAGE: URL = new URL("onnxruntime-node/", NATIVE_PACKAGES);

/** A device, and why it was taken. */
export interface DeviceChoice {
  device: Device;
  /** For example `no GPU was found, and native code is installed`. */
  reason: string;
}

/** A device is missing, or cannot do what was asked of it. */
export class DeviceError extends Error {
  /** `DeviceError` */
  override name = "DeviceError";
}

/** Whether an error is a {@link DeviceError}, or the copy of one that a Worker threw. */
export function isDeviceError(error: unknown): error is Error {
  return error instanceof Error && error.name === "DeviceError";
}

/** The surroundings that {@link chooseDevice} looks at; tests replace them. */
export interface Surroundings {
  gpuAdapter(): Promise<GPUAdapter | null>;
  hasNative(): Promise<boolean>;
}

/**
 * Takes the device that was asked for, or for `auto` the fastest available: a GPU, installed native
 * code, WebAssembly. A software adapter runs WebGPU on the CPU, slower than WebAssembly; it is
 * taken only on request.
 *
 * @throws {DeviceError} If the device that was asked for is missing.
 */
export async function chooseDevice(
  wanted: Device | "auto",
  { gpuAdapter, hasNative }: Surroundings = SURROUNDINGS,
): Promise<DeviceChoice> {
  if (wanted === "wasm") return { device: "wasm", reason: "as asked" };
  if (wanted === "native") {
    if (await hasNative()) return { device: "native", reason: "as asked" };
    throw new DeviceError(
      "Cannot use device 'native': it is not installed, or --allow-ffi is not given; " +
        "see 'deno task install:native'",
    );
  }

  const adapter = await gpuAdapter();
  const name = adapter === null ? "" : adapter.info.description || adapter.info.device;
  if (wanted === "webgpu") {
    if (adapter !== null) return { device: "webgpu", reason: `as asked, on ${name}` };
    throw new DeviceError("Cannot use device 'webgpu': no GPU adapter was found");
  }
  if (adapter !== null && !adapter.info.isFallbackAdapter) {
    return { device: "webgpu", reason: `a GPU was found: ${name}` };
  }
  const noGpu = adapter === null ? "no GPU was found" : `the only GPU adapter is software, ${name}`;
  return await hasNative()
    ? { device: "native", reason: `${noGpu}, and native code is installed` }
    : { device: "wasm", reason: noGpu };
}

const SURROUNDINGS: Surroundings = {
  async gpuAdapter() {
    return await navigator.gpu?.requestAdapter() ?? null;
  },
  async hasNative() {
    // This check must never download anything or throw.
    const { state } = await Deno.permissions.query({ name: "ffi", path: NATIVE_PACKAGES });
    if (state !== "granted") return false;
    return await Deno.stat(new URL("package.json", NATIVE_PACKAGE)).then(() => true, () => false);
  },
};
