import { deepStrictEqual, match, rejects } from "node:assert";
import { dirname, join } from "node:path";
import { dataDirOf, finishedRuns, newRunDir, prepareOutDir, RUNS_DIR } from "./run_folder.ts";

/** Runs a test in a folder of its own, with files by path within it. */
async function withFolder(
  files: Record<string, string>,
  test: (dir: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    for (const [path, content] of Object.entries(files)) {
      await Deno.mkdir(dirname(join(dir, path)), { recursive: true });
      await Deno.writeTextFile(join(dir, path), content);
    }
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function namesIn(dir: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name).sort();
}

Deno.test("newRunDir() names mode and model in a way that every file system takes", () => {
  const dir = newRunDir({ mode: "full", model: "scratch:tiny" });
  deepStrictEqual(dirname(dir), RUNS_DIR);
  match(dir, /\d{4}-\d{2}-\d{2}-\d{6}-full-scratch-tiny$/);
});

Deno.test("prepareOutDir() makes a folder and those above it", async () => {
  await withFolder({}, async (dir) => {
    const out = join(dir, "runs", "new");
    await prepareOutDir(out, { overwrite: false });
    await prepareOutDir(out, { overwrite: false });
    deepStrictEqual(await namesIn(out), []);
  });
});

Deno.test("prepareOutDir() refuses a folder that holds something, and leaves it alone", async () => {
  await withFolder({ "metrics.json": "{}" }, async (dir) => {
    await rejects(prepareOutDir(dir, { overwrite: false }), {
      name: "UserError",
      message:
        `Cannot write to '${dir}': it holds 'metrics.json'; use --overwrite or another --out`,
    });
    deepStrictEqual(await namesIn(dir), ["metrics.json"]);
  });
});

Deno.test("prepareOutDir() empties a folder that may be overwritten", async () => {
  const files = { ".hidden": "", "metrics.json": "{}", "onnx/model.onnx": "", "vocab.txt": "a" };
  await withFolder(files, async (dir) => {
    await prepareOutDir(dir, { overwrite: true });
    deepStrictEqual(await namesIn(dir), []);
  });
});

Deno.test("finishedRuns() lists the runs with metrics, the last first", async () => {
  const files = {
    "a/metrics.json": "{}",
    "b/metrics.json": "{}",
    "c/metrics.json": "{}",
    "unfinished/config.json": "{}",
    "state.kv": "",
  };
  await withFolder(files, async (dir) => {
    for (const [name, seconds] of [["a", 2000], ["b", 3000], ["c", 1000]] as const) {
      await Deno.utime(join(dir, name, "metrics.json"), seconds, seconds);
    }
    deepStrictEqual(await finishedRuns(dir), [
      { name: "b", dir: join(dir, "b"), finishedAt: new Date(3_000_000) },
      { name: "a", dir: join(dir, "a"), finishedAt: new Date(2_000_000) },
      { name: "c", dir: join(dir, "c"), finishedAt: new Date(1_000_000) },
    ]);
  });
});

Deno.test("finishedRuns() gives nothing for a folder that is not there", async () => {
  await withFolder({}, async (dir) => {
    deepStrictEqual(await finishedRuns(join(dir, "runs")), []);
  });
});

Deno.test("dataDirOf() reads the folder of the data", async () => {
  await withFolder({ "training_args.json": '{"seed":11,"data":"/data/titles"}' }, async (dir) => {
    deepStrictEqual(await dataDirOf(dir), "/data/titles");
  });
});

Deno.test("dataDirOf() refuses a run that does not say", async () => {
  const filesOf = [{}, { "training_args.json": "{}" }, { "training_args.json": '{"data":null}' }];
  for (const files of filesOf) {
    await withFolder(files as Record<string, string>, async (dir) => {
      await rejects(dataDirOf(dir), {
        name: "UserError",
        message: `Cannot tell what '${dir}' was trained on: use --file`,
      });
    });
  }
});
