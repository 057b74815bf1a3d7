import { deepStrictEqual, notStrictEqual, ok, rejects, strictEqual } from "node:assert";
import { join } from "node:path";
import { saveClassifier } from "../models/formats/classifier_folder.ts";
import { readConfig } from "../models/family.ts";
import { scratchClassifier } from "../models/scratch.ts";
import { weightBytes } from "../models/onnx_model.ts";
import { Executor } from "../onnx/runtime/executor.ts";
import { ModelCache, type ModelCacheOptions } from "./model_cache.ts";
import type { ModelVersion } from "./model_reference.ts";

/** Runs a test on a cache with room for this many of the models `a`, `b` and `c`. */
async function withCache(
  room: number,
  options: Partial<ModelCacheOptions>,
  test: (cache: ModelCache, models: Record<"a" | "b" | "c", ModelVersion>) => Promise<void>,
): Promise<void> {
  const parent = await Deno.makeTempDir();
  try {
    const model = (name: string): ModelVersion => ({
      name,
      version: 1,
      dir: join(parent, name),
      finishedAt: new Date(0),
    });
    const models = { a: model("a"), b: model("b"), c: model("c") };
    for (const { dir } of Object.values(models)) {
      const classifier = scratchClassifier("tiny", ["a duet"], ["x", "y"], {
        seed: 1,
        maxLength: 8,
      });
      await saveClassifier(dir, classifier);
    }
    await using cache = new ModelCache({
      startExecutor: () => Executor.start({ threads: 1 }),
      maxBytes: room * weightBytes(await readConfig(models.a.dir), options.dtype),
      ...options,
    });
    await test(cache, models);
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
}

function loaded(cache: ModelCache): string[] {
  return cache.loaded.map(({ version }) => version.name).sort();
}

/** Borrows a model for a moment. */
async function use(cache: ModelCache, model: ModelVersion): Promise<void> {
  using borrowed = await cache.borrow(model);
  strictEqual((await borrowed.model.scores(["a duet"])).length, 1);
}

Deno.test("ModelCache keeps to its memory, and the least recently used model leaves", async () => {
  await withCache(2, {}, async (cache, { a, b, c }) => {
    deepStrictEqual(loaded(cache), []);
    await use(cache, a);
    await use(cache, b);
    await use(cache, a);
    await use(cache, c);
    deepStrictEqual(loaded(cache), ["a", "c"]);
    await use(cache, b);
    deepStrictEqual(loaded(cache), ["b", "c"]);
  });
});

Deno.test("ModelCache counts weights as it holds them, before there is a file of them, too", async () => {
  await withCache(2, { dtype: "q8" }, async (cache, { a, b, c }) => {
    for (const model of [a, b]) await use(cache, model);
    deepStrictEqual(loaded(cache), ["a", "b"]);
    for (const { version, bytes } of cache.loaded) {
      const { size } = await Deno.stat(join(version.dir, "onnx/model_quantized.onnx"));
      ok(Math.abs(bytes / size - 1) < 0.05, `${bytes} bytes of ${size}`);
    }
    await use(cache, c);
    deepStrictEqual(loaded(cache), ["b", "c"]);
  });
});

Deno.test("ModelCache never unloads a model in use, and refuses what has no room beside it", async () => {
  await withCache(1, { roomTimeoutMs: 0 }, async (cache, { a, b }) => {
    const borrowed = await cache.borrow(a);
    await rejects(cache.borrow(b), { name: "NoRoomError", message: /^Cannot load model 'b'/ });
    deepStrictEqual((await borrowed.model.scores(["a duet"])).length, 1);
    borrowed[Symbol.dispose]();
    await use(cache, b);
    deepStrictEqual(loaded(cache), ["b"]);
  });
});

Deno.test("ModelCache gives a model its turn where another is always in use", async () => {
  await withCache(1, { roomTimeoutMs: 60_000 }, async (cache, { a, b }) => {
    let isLoaded = false;
    // Each one begins before the last has ended.
    let borrowed = await cache.borrow(a);
    const busy = (async () => {
      while (!isLoaded) {
        const next = cache.borrow(a);
        await new Promise((resolve) => setTimeout(resolve, 5));
        borrowed[Symbol.dispose]();
        borrowed = await next;
      }
    })();
    const turn = await cache.borrow(b);
    isLoaded = true;
    deepStrictEqual(loaded(cache), ["b"]);
    turn[Symbol.dispose]();
    await busy;
    borrowed[Symbol.dispose]();
  });
});

Deno.test("ModelCache refuses at once what is larger than all its room", async () => {
  await withCache(0.5, { roomTimeoutMs: 60_000 }, async (cache, { a }) => {
    await rejects(cache.borrow(a), {
      name: "UserError",
      message: /'a': it takes \d+ bytes, and all/,
    });
  });
});

Deno.test("ModelCache unloads what is forgotten, or else when it is in use no more", async () => {
  await withCache(2, {}, async (cache, { a, b }) => {
    await use(cache, b);
    const borrowed = await cache.borrow(a);
    cache.forget([a, b]);
    deepStrictEqual(loaded(cache), ["a"]);
    deepStrictEqual((await borrowed.model.scores(["a duet"])).length, 1);
    borrowed[Symbol.dispose]();
    deepStrictEqual(loaded(cache), []);
  });
});

Deno.test("ModelCache starts another executor when one ends", async () => {
  const started: Executor[] = [];
  const startExecutor = async () => {
    const executor = await Executor.start({ threads: 1 });
    started.push(executor);
    return executor;
  };
  await withCache(1, { startExecutor }, async (cache) => {
    ok(!cache.isRunning);
    await cache.executor();
    ok(cache.isRunning);
    await started[0]!.close();
    ok(!cache.isRunning);
    while (!cache.isRunning) await new Promise((resolve) => setTimeout(resolve, 5));
    strictEqual(started.length, 2);
  });
});

Deno.test("ModelCache loads a model once for all who ask at the same time", async () => {
  await withCache(1, {}, async (cache, { a }) => {
    const borrowed = await Promise.all([cache.borrow(a), cache.borrow(a), cache.borrow(a)]);
    strictEqual(new Set(borrowed.map(({ model }) => model)).size, 1);
    for (const model of borrowed) model[Symbol.dispose]();
  });
});

Deno.test("ModelCache unloads what nobody asks for", async () => {
  await withCache(3, { idleMs: 0 }, async (cache, { a, b }) => {
    await use(cache, a);
    using _borrowed = await cache.borrow(b);
    await cache.unloadIdle();
    deepStrictEqual(loaded(cache), ["b"]);
  });
});

Deno.test("ModelCache looks by itself for what nobody asks for", async () => {
  await withCache(3, { idleMs: 20 }, async (cache, { a }) => {
    await use(cache, a);
    while (loaded(cache).length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });
});

Deno.test("ModelCache loads anew what it had on an executor that has ended", async () => {
  await withCache(1, {}, async (cache, { a }) => {
    await use(cache, a);
    const first = await cache.executor();
    await first.close();
    deepStrictEqual(loaded(cache), []);
    await use(cache, a);
    notStrictEqual(await cache.executor(), first);
  });
});

Deno.test("ModelCache tries again after a model could not be loaded, or the executor not start", async () => {
  let starts = 0;
  const startExecutor = () =>
    starts++ === 0 ? Promise.reject(new Error("no device")) : Executor.start({ threads: 1 });
  await withCache(3, { startExecutor }, async (cache, { a }) => {
    await rejects(cache.borrow(a), /no device/);
    const config = join(a.dir, "config.json");
    await Deno.rename(config, `${config}.away`);
    await rejects(cache.borrow(a), { name: "UserError" });
    await Deno.rename(`${config}.away`, config);
    await use(cache, a);
    ok(starts === 2);
  });
});
