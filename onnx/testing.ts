/**
 * What the tests of several files need.
 *
 * @module
 */
import { type Device, DeviceError, DEVICES } from "./device.ts";
import { Executor } from "./executor.ts";

/** Declares a test for each device, which says so and ends where its device is not there. */
export function testOnDevices(
  name: string,
  test: (executor: Executor, t: Deno.TestContext) => Promise<void>,
): void {
  for (const device of DEVICES) {
    Deno.test(`${name}, on ${device}`, async (t) => {
      await using executor = await startOrSkip(device);
      if (executor !== undefined) await test(executor, t);
    });
  }
}

async function startOrSkip(device: Device): Promise<Executor | undefined> {
  try {
    return await Executor.start({ device, threads: 2 });
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    console.log(`Skipped: ${error.message}`);
    return undefined;
  }
}
