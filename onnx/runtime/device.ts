/**
 * The devices that graphs can run on, and which one to take.
 *
 * @module
 */

/** The names of the devices: a GPU, or the CPU in WebAssembly or in native code. */
export const DEVICES = ["webgpu", "wasm", "native"] as const;

/** A name in {@link DEVICES}. */
export type Device = (typeof DEVICES)[number];

/** The package that native code comes from, where `deno task install:native` has put it. */
export const NATIVE_PACKAGE: URL = new URL(
  "../native/node_modules/onnxruntime-node/",
  import.meta.url,
);

/** A device, and why it was taken. */
export interface DeviceChoice {
  device: Device;
  /** As in `WebAssembly on the CPU, as there is no GPU`. */
  reason: string;
}

/** A device is not there, or cannot do what it is asked for. */
export class DeviceError extends Error {
  override name = "DeviceError";
}

/** Whether an error is a {@link DeviceError}, perhaps one that has come out of a Worker as a copy. */
export function isDeviceError(error: unknown): error is Error {
  return error instanceof Error && error.name === "DeviceError";
}

/** What {@link chooseDevice} looks for; tests put something else in its place. */
export interface Surroundings {
  gpuAdapter(): Promise<GPUAdapter | null>;
  hasNative(): Promise<boolean>;
}

/**
 * Takes the device that was asked for, or for `auto` the fastest that is there: a GPU, native code
 * where it is installed, WebAssembly. A software adapter does WebGPU's work on the CPU, more slowly
 * than WebAssembly does; it is taken only when asked for.
 *
 * @throws {DeviceError} If the device that was asked for is not there.
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
    // To find out must never download anything, nor end in an error.
    const { state } = await Deno.permissions.query({ name: "ffi" });
    if (state !== "granted") return false;
    return await Deno.stat(new URL("package.json", NATIVE_PACKAGE)).then(() => true, () => false);
  },
};
