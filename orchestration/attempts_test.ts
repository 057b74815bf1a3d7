import { deepStrictEqual, strictEqual } from "node:assert";
import { join } from "node:path";
import { exists } from "../lib/files.ts";
import { Attempts } from "./attempts.ts";

/** Runs a test on the attempts of a run. */
async function withAttempts(test: (attempts: Attempts) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await test(new Attempts(dir, "run"));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function write(path: string, content: string): Promise<void> {
  await Deno.mkdir(join(path, ".."), { recursive: true });
  await Deno.writeTextFile(path, content);
}

Deno.test("an attempt goes on with the checkpoints of the one before, and changes none of them", async () => {
  await withAttempts(async (attempts) => {
    strictEqual(await attempts.prepare(1), false);
    const first = attempts.dirOf(1);
    await write(join(first, "training_args.json"), "{}");
    await write(join(first, "checkpoints/checkpoint-5/model.safetensors"), "weights");
    await write(join(first, "checkpoints/checkpoint-5/optimizer.safetensors"), "moments");
    await write(join(first, "checkpoints/checkpoint-6.partial/model.safetensors"), "half");
    await write(join(first, "lock"), "");
    // Twice, as when the server is killed before the attempt counts.
    for (let i = 0; i < 2; i++) {
      strictEqual(await attempts.prepare(2), true);
      const second = attempts.dirOf(2);
      const names = async (dir: string) =>
        (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name).sort();
      deepStrictEqual(await names(second), ["checkpoints", "training_args.json"]);
      deepStrictEqual(await names(join(second, "checkpoints")), ["checkpoint-5"]);
      for (const dir of [first, second]) {
        const file = join(dir, "checkpoints/checkpoint-5/model.safetensors");
        strictEqual(await Deno.readTextFile(file), "weights");
      }
    }
    strictEqual(await attempts.prepare(3), true);
    strictEqual(await exists(first), false);
  });
});

Deno.test("an attempt begins anew where the one before had all but ended", async () => {
  await withAttempts(async (attempts) => {
    const first = attempts.dirOf(1);
    await write(join(first, "training_args.json"), "{}");
    await write(join(first, "metrics.json"), "{}");
    await write(join(first, "checkpoints/checkpoint-5/model.safetensors"), "weights");
    strictEqual(await attempts.prepare(2), true);
    strictEqual(await exists(join(attempts.dirOf(2), "checkpoints")), false);
  });
});

Deno.test("the attempt that succeeds becomes the run's folder, and the others go", async () => {
  await withAttempts(async (attempts) => {
    for (const attempt of [1, 2]) {
      await write(join(attempts.dirOf(attempt), "metrics.json"), `${attempt}`);
    }
    strictEqual(await attempts.isPublished(), false);
    await attempts.publish(2);
    strictEqual(await attempts.isPublished(), true);
    strictEqual(await Deno.readTextFile(join(attempts.modelDir, "metrics.json")), "2");
    strictEqual(await exists(attempts.dirOf(1)), false);
    strictEqual(await attempts.bytes(), 1);
    await attempts.remove();
    strictEqual(await attempts.bytes(), 0);
  });
});
