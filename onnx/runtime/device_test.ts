import { deepStrictEqual, rejects } from "node:assert";
import { chooseDevice } from "./device.ts";

function surroundings(gpu: "none" | "real" | "software", native: boolean) {
  const info = { description: "Some GPU", device: "", isFallbackAdapter: gpu === "software" };
  return {
    gpuAdapter: () => Promise.resolve(gpu === "none" ? null : { info } as GPUAdapter),
    hasNative: () => Promise.resolve(native),
  };
}

Deno.test("chooseDevice() takes a GPU, then native code, then WebAssembly", async () => {
  const choose = async (...args: Parameters<typeof surroundings>) =>
    Object.values(await chooseDevice("auto", surroundings(...args)));
  deepStrictEqual(await choose("real", true), ["webgpu", "a GPU was found: Some GPU"]);
  deepStrictEqual(await choose("none", true), [
    "native",
    "no GPU was found, and native code is installed",
  ]);
  deepStrictEqual(await choose("none", false), ["wasm", "no GPU was found"]);
  deepStrictEqual(await choose("software", false), [
    "wasm",
    "the only GPU adapter is software, Some GPU",
  ]);
});

Deno.test("chooseDevice() takes what is asked for, a software adapter too", async () => {
  deepStrictEqual(await chooseDevice("webgpu", surroundings("software", true)), {
    device: "webgpu",
    reason: "as asked, on Some GPU",
  });
  deepStrictEqual((await chooseDevice("native", surroundings("real", true))).device, "native");
  deepStrictEqual((await chooseDevice("wasm", surroundings("real", true))).device, "wasm");
});

Deno.test("chooseDevice() refuses a device that is not there", async () => {
  await rejects(chooseDevice("webgpu", surroundings("none", true)), {
    name: "DeviceError",
    message: "Cannot use device 'webgpu': no GPU adapter was found",
  });
  await rejects(chooseDevice("native", surroundings("real", false)), {
    name: "DeviceError",
    message: /^Cannot use device 'native': it is not installed/,
  });
});
