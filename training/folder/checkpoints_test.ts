import { deepStrictEqual } from "node:assert";
import { join } from "node:path";
import { copyCheckpoints, lastCheckpoint, removeOptimizerStates } from "./checkpoints.ts";

Deno.test("lastCheckpoint() gives the one of most steps, and none that is not whole", async () => {
  const dir = await Deno.makeTempDir();
  try {
    deepStrictEqual(await lastCheckpoint(dir), undefined);
    for (const name of ["checkpoint-9", "checkpoint-10", "checkpoint-11.partial", "other-99"]) {
      await Deno.mkdir(join(dir, "checkpoints", name), { recursive: true });
    }
    deepStrictEqual(await lastCheckpoint(dir), join(dir, "checkpoints", "checkpoint-10"));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("copyCheckpoints() copies what a run can go on from, and nothing once it has ended", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const [from, to] = [join(dir, "from"), join(dir, "to")];
    const files = async () =>
      (await Array.fromAsync(Deno.readDir(join(to, "checkpoints"))).catch(() => []))
        .map(({ name }) => name).sort();
    deepStrictEqual(await copyCheckpoints(from, to), false);
    for (const name of ["checkpoint-5", "checkpoint-10", "checkpoint-15.partial"]) {
      const checkpoint = join(from, "checkpoints", name);
      await Deno.mkdir(join(checkpoint, "onnx"), { recursive: true });
      for (const file of ["model.safetensors", "optimizer.safetensors", "onnx/config.json"]) {
        await Deno.writeTextFile(join(checkpoint, file), name);
      }
    }
    deepStrictEqual(await copyCheckpoints(from, to), true);
    deepStrictEqual(await files(), ["checkpoint-10", "checkpoint-5"]);
    await removeOptimizerStates(from);
    const copied = join(to, "checkpoints", "checkpoint-10");
    for (const file of ["optimizer.safetensors", "onnx/config.json"]) {
      deepStrictEqual(await Deno.readTextFile(join(copied, file)), "checkpoint-10");
    }
    await Deno.remove(to, { recursive: true });
    deepStrictEqual(await copyCheckpoints(from, to), false);
    deepStrictEqual(await files(), []);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("copyCheckpoints() copies whole checkpoints alone, while newer ones replace them", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const from = join(dir, "from");
    const names = Array.from({ length: 20 }, (_, i) => `${i}.json`).concat("optimizer.safetensors");
    let isOver = false;
    const training = (async () => {
      for (let step = 1; step <= 60; step++) {
        const checkpoint = join(from, "checkpoints", `checkpoint-${step}`);
        await Deno.mkdir(`${checkpoint}.partial`, { recursive: true });
        for (const name of names) await Deno.writeTextFile(join(`${checkpoint}.partial`, name), "");
        await Deno.rename(`${checkpoint}.partial`, checkpoint);
        const before = join(from, "checkpoints", `checkpoint-${step - 1}`);
        if (step > 1) await Deno.remove(before, { recursive: true });
      }
      isOver = true;
    })();
    let copies = 0;
    while (!isOver) {
      const to = join(dir, String(copies));
      if (!await copyCheckpoints(from, to)) continue;
      copies++;
      const files = await Array.fromAsync(Deno.readDir((await lastCheckpoint(to))!));
      deepStrictEqual(files.map(({ name }) => name).sort(), names.toSorted());
    }
    await training;
    deepStrictEqual(copies > 0, true);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
