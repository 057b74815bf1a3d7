import { deepStrictEqual, rejects, throws } from "node:assert";
import { OutOfMemoryError } from "../onnx/runtime/device_memory.ts";
import { lessStepMemory, planParts } from "./parts.ts";

const MIB = 2 ** 20;

const OPTIONS = {
  device: "wasm",
  lifetimes: [
    { shape: ["batch", "length", "length"], bytesPerElement: 4, from: 0, to: 2 },
    { shape: [1024, 1024], bytesPerElement: 4, from: -1, to: 3 },
  ],
  dimensions: (batch: number, length: number) => ({ batch, length }),
  lengths: [1024, 512, 3],
  batchSize: 16,
  stepMemory: undefined,
  gradientCheckpointing: false,
  capacity: 4096 * MIB,
} as const;

Deno.test("planParts() leaves batches whole that fit", async () => {
  const { stepMemory, textsOf, largest, note } = await planParts(OPTIONS);
  deepStrictEqual([stepMemory, textsOf(1024), textsOf(3), note], [1024, 16, 16, undefined]);
  deepStrictEqual(largest, [{ batch: 16, length: 1024 }]);
});

Deno.test("planParts() cuts by the memory that is asked for, shorter texts less", async () => {
  const { textsOf, largest, note } = await planParts({ ...OPTIONS, stepMemory: 13 });
  deepStrictEqual([1024, 512, 3].map(textsOf), [3, 13, 16]);
  deepStrictEqual(largest, [
    { batch: 3, length: 1024 },
    { batch: 13, length: 512 },
    { batch: 16, length: 3 },
  ]);
  deepStrictEqual(
    note,
    "Steps are split into micro-batches of 3 texts where texts have 1024 tokens, which take " +
      "0.013 GB beside the parameters (the step memory is 13 MiB)",
  );
});

Deno.test("planParts() halves its default until the device has as much", async () => {
  const plan = (capacity: number) => planParts({ ...OPTIONS, capacity });
  deepStrictEqual((await plan(1400 * MIB)).stepMemory, 1024);
  deepStrictEqual((await plan(1000 * MIB)).stepMemory, 512);
  // One text fits, even if it is more than the least part.
  deepStrictEqual((await plan(20 * MIB)).stepMemory, 64);
  deepStrictEqual((await plan(20 * MIB)).textsOf(1024), 16);
});

Deno.test("planParts() says that one text alone does not fit, and how to go on", async () => {
  await rejects(planParts({ ...OPTIONS, capacity: 10 * MIB }), {
    name: "UserError",
    message:
      "Cannot train on texts of 1024 tokens on wasm: one alone takes 0.0042 GB, and beside " +
      "the parameters there are 0.0037 GB; lower the max length, or try gradient checkpointing",
  });
});

Deno.test("lessStepMemory() halves, and says when nothing is left to halve", () => {
  const error = new OutOfMemoryError("wasm ran out of memory");
  deepStrictEqual(lessStepMemory(1024, error), 512);
  throws(() => lessStepMemory(64, error), {
    name: "UserError",
    message: "Cannot go on: wasm ran out of memory, with one text at a time; lower the max length",
  });
});
