import { deepStrictEqual, match, rejects } from "node:assert";
import { dirname, join } from "node:path";
import {
  dataDirOf,
  finishedRuns,
  lastUnfinishedRun,
  lockRun,
  newRunDir,
  prepareOutDir,
  RUNS_DIR,
  trainingTextsOf,
} from "./run_folder.ts";
import { writeSeenTexts } from "./seen_texts.ts";
import { type Dataset, digestOf } from "../../data/dataset.ts";
import { readExamples } from "../../data/examples.ts";
import { stratifiedSample } from "../../data/stratified_sample.ts";
import { TrainSettings } from "../settings.ts";
import { writeTrainingArgs } from "./training_args.ts";

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

Deno.test("dataDirOf() knows nothing of a folder that does not say", async () => {
  await withFolder({}, async (dir) => deepStrictEqual(await dataDirOf(dir), undefined));
});

Deno.test("dataDirOf() refuses a file that no run wrote", async () => {
  for (const content of ["{}", "[]", '{"data": 7}', "{"]) {
    await withFolder({ "training_args.json": content }, async (dir) => {
      await rejects(dataDirOf(dir), { name: "UserError", message: /training_args\.json': / });
    });
  }
});

Deno.test("trainingTextsOf() gives the texts that the run was trained on", async () => {
  const rows = ["one,a", "two,b", "three,a", "four,b"];
  const files = { "data/train_simple.csv": ["text,label", ...rows].join("\n") };
  await withFolder(files, async (dir) => {
    const args = { data: join(dir, "data"), max_train_samples: 2, seed: 3 };
    await Deno.writeTextFile(join(dir, "training_args.json"), JSON.stringify(args));
    const examples = await readExamples(join(dir, "data", "train_simple.csv"));
    const sample = stratifiedSample(examples, {
      count: 2,
      seed: 3,
      problemType: "single_label_classification",
    });
    const texts = Array.from(sample, ({ text }) => text);
    deepStrictEqual(await trainingTextsOf(dir), new Set(texts));
    await Deno.remove(join(dir, "data"), { recursive: true });
    deepStrictEqual(await trainingTextsOf(dir), undefined);
    await writeSeenTexts(dir, texts);
    const known = (await trainingTextsOf(dir))!;
    const seen = ["one", "two", "three", "four", ""].filter((text) => known.has(text));
    deepStrictEqual(seen.sort(), texts.sort());
  });
});

Deno.test("trainingTextsOf() reads labels as the run read them", async () => {
  await withFolder({ "data/train_simple.csv": "text,label\none,a|b\ntwo,\n" }, async (dir) => {
    const args = { data: join(dir, "data"), problem_type: "multi_label_classification" };
    await Deno.writeTextFile(join(dir, "training_args.json"), JSON.stringify(args));
    deepStrictEqual(await trainingTextsOf(dir), new Set(["one", "two"]));
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

Deno.test("lastUnfinishedRun() gives the run that was started last and is not being trained", async () => {
  const files = {
    "2026-01-01-run/training_args.json": "{}",
    "finished/training_args.json": "{}",
    "finished/metrics.json": "{}",
    "older/training_args.json": "{}",
    "running/training_args.json": "{}",
    "not-a-run/config.json": "{}",
  };
  await withFolder(files, async (dir) => {
    const ages = { running: 1, finished: 2, "2026-01-01-run": 3, older: 4 };
    for (const [name, age] of Object.entries(ages)) {
      const at = 1_000_000 - age;
      await Deno.utime(join(dir, name, "training_args.json"), at, at);
    }
    const child = await lockElsewhere(join(dir, "running"));
    deepStrictEqual(await lastUnfinishedRun(dir), join(dir, "2026-01-01-run"));
    await child.end();
    deepStrictEqual(await lastUnfinishedRun(dir), join(dir, "running"));
    await rejects(lastUnfinishedRun(join(dir, "finished")), /Cannot find an unfinished run/);
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

/** Has another process hold the lock of a folder. */
async function lockElsewhere(dir: string): Promise<{ end(): Promise<void> }> {
  const module = new URL("./run_folder.ts", import.meta.url).href;
  const code = `const { lockRun } = await import("${module}");
    await lockRun(Deno.args[0]); console.log("locked"); await new Promise(() => setInterval(() => {}, 1e6));`;
  const script = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(script, code);
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const child = new Deno.Command("deno", {
    args: ["run", "--no-prompt", "--config", config, "--allow-read", "--allow-write", script, dir],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  return {
    async end() {
      child.kill("SIGKILL");
      await child.status;
      await reader.cancel();
      await Deno.remove(script);
    },
  };
}
