/**
 * What the tests of several files need.
 *
 * @module
 */
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { chooseDevice, type Device, DEVICES } from "./runtime/device.ts";
import { Executor } from "./runtime/executor.ts";

/**
 * The devices whose tests are left out, as they are not there. Where `CI` is "true" none is: all
 * have to be there, and tests on one that is not fail.
 */
export const MISSING_DEVICES: ReadonlySet<Device> = new Set(
  Deno.env.get("CI") === "true" ? [] : (await Promise.all(
    DEVICES.map((device) => chooseDevice(device).then(() => [], () => [device])),
  )).flat(),
);
for (const device of MISSING_DEVICES) {
  console.log(`Tests on ${device} are left out: it is not there`);
}

/** Declares a test for each device; it is ignored where its device is not there. */
export function testOnDevices(
  name: string,
  test: (executor: Executor, t: Deno.TestContext) => Promise<void>,
): void {
  for (const device of DEVICES) {
    Deno.test({
      name: `${name}, on ${device}`,
      ignore: MISSING_DEVICES.has(device),
      async fn(t) {
        await using executor = await Executor.start({ device, threads: 2 });
        await test(executor, t);
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
