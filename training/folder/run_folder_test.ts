import { deepStrictEqual, match, rejects } from "node:assert";
import { dirname, join } from "node:path";
import { type Dataset, digestOf } from "../../data/dataset.ts";
import { lockElsewhere } from "../../tests/support/lock_elsewhere.ts";
import { withFolder } from "../../tests/support/with_folder.ts";
import { TrainSettings } from "../settings.ts";
import { lockRun, newRunDir, prepareOutDir, RUNS_DIR } from "./run_folder.ts";
import { writeTrainingArgs } from "./training_args.ts";

async function namesIn(dir: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(dir))).map(({ name }) => name).sort();
}

Deno.test("newRunDir() names mode and model in a way that every file system takes", () => {
  const dir = newRunDir({ mode: "full", model: "scratch:tiny" });
  deepStrictEqual(dirname(dir), RUNS_DIR);
  match(dir, /\d{4}-\d{2}-\d{2}-\d{6}-full-scratch-tiny$/);
});

const DATASET: Dataset = {
  dir: "/data/titles",
  labels: ["a", "b"],
  train: [{ text: "one", label: "a" }, { text: "two", label: "b" }],
  validation: [{ text: "three", label: "b" }],
  test: [],
};

function prepare(dir: string, overwrite: boolean): Promise<void> {
  const settings = TrainSettings.parse({ seed: 7 });
  return prepareOutDir(
    dir,
    () => writeTrainingArgs(dir, settings, { dir: DATASET.dir, sha256: digestOf(DATASET) }),
    { overwrite },
  );
}

Deno.test("prepareOutDir() makes a folder and writes down what was asked for", async () => {
  await withFolder({}, async (dir) => {
    const out = join(dir, "runs", "new");
    await prepare(out, false);
    deepStrictEqual(await namesIn(out), ["training_args.json"]);
    const args = JSON.parse(await Deno.readTextFile(join(out, "training_args.json")));
    deepStrictEqual([args.seed, args.batch_size, args.data], [7, 16, "/data/titles"]);
    deepStrictEqual([args.metric_for_best_model, args.greater_is_better], ["f1_macro", true]);
  });
});

Deno.test("prepareOutDir() refuses a folder that holds a run, and leaves it alone", async () => {
  for (
    const [files, message] of [
      [["training_args.json", "metrics.json"], "a finished run; use --overwrite"],
      [["training_args.json"], "an unfinished run; use --resume, --overwrite"],
    ] as const
  ) {
    await withFolder(Object.fromEntries(files.map((name) => [name, "{}"])), async (dir) => {
      await rejects(prepare(dir, false), {
        name: "UserError",
        message: `Cannot write to '${dir}': it holds ${message} or another --out`,
      });
      deepStrictEqual(await namesIn(dir), files.toSorted());
    });
  }
});

Deno.test("prepareOutDir() makes a run that is overwritten unfinished", async () => {
  const files = { "metrics.json": "{}", "training_args.json": "{}", "vocab.txt": "a" };
  await withFolder(files, async (dir) => {
    await prepare(dir, true);
    deepStrictEqual(await namesIn(dir), ["training_args.json", "vocab.txt"]);
  });
});

Deno.test("prepareOutDir() overwrites nothing but runs", async () => {
  await withFolder({ "train_simple.csv": "text,label" }, async (dir) => {
    for (const overwrite of [false, true]) {
      await rejects(prepare(dir, overwrite), {
        name: "UserError",
        message:
          `Cannot write to '${dir}': it holds 'train_simple.csv' and is not that of a run; use another --out`,
      });
    }
    deepStrictEqual(await namesIn(dir), ["train_simple.csv"]);
  });
});

Deno.test("prepareOutDir() takes a folder with hidden files for an empty one", async () => {
  await withFolder({ ".DS_Store": "" }, async (dir) => {
    await prepare(dir, false);
    deepStrictEqual(await namesIn(dir), [".DS_Store", "training_args.json"]);
  });
});

Deno.test("prepareOutDir() removes the checkpoints of a run that it overwrites", async () => {
  const files = { "training_args.json": "{}", "checkpoints/checkpoint-3/config.json": "{}" };
  await withFolder(files, async (dir) => {
    await prepare(dir, true);
    deepStrictEqual(await namesIn(dir), ["training_args.json"]);
  });
});

Deno.test("prepareOutDir() bears what it left when it was killed", async () => {
  const files = {
    "training_args.json": "{}",
    "checkpoints/checkpoint-2/config.json": "{}",
    "checkpoints.replaced/checkpoint-1/config.json": "{}",
  };
  await withFolder(files, async (dir) => {
    await prepare(dir, true);
    deepStrictEqual(await namesIn(dir), ["training_args.json"]);
  });
});

Deno.test("lockRun() keeps another process out until it is disposed of", async () => {
  await withFolder({}, async (dir) => {
    const child = await lockElsewhere(dir);
    await rejects(lockRun(dir), {
      name: "UserError",
      message: `Cannot train in '${dir}': another process does`,
    });
    await child.end();
    {
      await using _lock = await lockRun(dir);
      deepStrictEqual(await namesIn(dir), ["lock"]);
    }
    deepStrictEqual(await namesIn(dir), []);
  });
});
