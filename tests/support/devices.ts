/**
 * Tests that run on every device, and a look into serialised graphs.
 *
 * @module
 */
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { chooseDevice, type Device, DEVICES } from "../../onnx/runtime/device.ts";
import { Executor, ExecutorTimeoutError } from "../../onnx/runtime/executor.ts";

/**
 * The devices whose tests are left out, as they are not there. Where `CI` is "true" none is: all
 * have to be there, and tests on one that is not fail. A software GPU counts as one only where
 * `GRAFT_SOFTWARE_GPU` is "true", as in `deno task test:all`: it takes minutes more.
 */
export const MISSING_DEVICES: ReadonlySet<Device> = new Set(await missingDevices());
for (const device of MISSING_DEVICES) {
  console.log(
    device === "webgpu" && await isSoftware()
      ? "Tests on a software GPU are left out, as they take minutes: see 'deno task test:all'"
      : `Tests on ${device} are left out: it is not there`,
  );
}

async function missingDevices(): Promise<Device[]> {
  const wantsSoftware = Deno.env.get("GRAFT_SOFTWARE_GPU") === "true";
  if (wantsSoftware && Deno.env.get("CI") === "true") return [];
  const missing: Device[] = [];
  for (const device of DEVICES) {
    const isThere = await chooseDevice(device).then(() => true, () => false);
    if (!isThere || device === "webgpu" && !wantsSoftware && await isSoftware()) {
      missing.push(device);
    }
  }
  return missing;
}

/** Whether the only GPU is Mesa's or another that computes on the processor. */
async function isSoftware(): Promise<boolean> {
  const adapter = await navigator.gpu?.requestAdapter() ?? null;
  return adapter?.info.isFallbackAdapter ?? false;
}

/** The executors of a test file, by device: one takes a second to start. */
const executors = new Map<Device, Promise<Executor>>();
Deno.test.afterAll(async () => {
  for (const executor of executors.values()) await (await executor).close();
  // Mesa's software adapter crashes when the process ends while the Worker still gives it back.
  if (executors.has("webgpu")) await new Promise((resolve) => setTimeout(resolve, 500));
});

function executorOf(device: Device): Promise<Executor> {
  const executor = executors.get(device) ??
    Executor.start({ device, threads: 2, timeoutMs: 180_000 });
  executors.set(device, executor);
  return executor;
}

/**
 * Declares a test for each device; it is ignored where its device is not there. The tests of a file
 * share an executor for each device.
 */
export function testOnDevices(name: string, test: (executor: Executor) => Promise<void>): void {
  for (const device of DEVICES) {
    Deno.test({
      name: `${name}, on ${device}`,
      ignore: MISSING_DEVICES.has(device),
      // The executor outlives the test that started it.
      sanitizeOps: false,
      sanitizeResources: false,
      async fn() {
        try {
          await test(await executorOf(device));
        } catch (error) {
          if (!(error instanceof ExecutorTimeoutError) || device !== "webgpu") throw error;
          // Under load Mesa's software adapter has been seen to wait for itself without end.
          console.log("The GPU's driver did not answer for three minutes; the test starts again");
          executors.delete(device);
          await test(await executorOf(device));
        }
      },
    });
  }
}

/** The operators of a serialised ModelProto, node by node. */
export function operatorsOf(model: Uint8Array): string[] {
  const [graph, nodes, operator] = [7, 1, 4];
  return fieldsOf(model, graph)
    .flatMap((graph) => fieldsOf(graph, nodes))
    .flatMap((node) => fieldsOf(node, operator))
    .map((name) => new TextDecoder().decode(name));
}

/** The contents of one field of a message, as often as it has it. */
function fieldsOf(message: Uint8Array, wanted: number): Uint8Array[] {
  const reader = new BinaryReader(message);
  const contents: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === wanted) contents.push(reader.bytes());
    else reader.skip(type);
  }
  return contents;
}
