import { deepStrictEqual, rejects, throws } from "node:assert";
import { join } from "node:path";
import type { Dataset } from "../data/dataset.ts";
import { TrainSettings } from "./settings.ts";
import { readTrainingArgs, resumedSettings, writeTrainingArgs } from "./training_args.ts";

const SETTINGS = TrainSettings.parse({ seed: 7, learningRate: 1e-3, freeze: "bert.*" });
const DATASET: Dataset = {
  dir: "/data/titles",
  labels: ["a", "b"],
  train: [{ text: "one", label: "a" }, { text: "two", label: "b" }],
  validation: [{ text: "three", label: "b" }],
  test: [],
};

async function inFolder(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("readTrainingArgs() gives back what writeTrainingArgs() wrote", async () => {
  await inFolder(async (dir) => {
    await writeTrainingArgs(dir, SETTINGS, DATASET);
    const { settings, dataDir, dataSha256 } = await readTrainingArgs(dir);
    deepStrictEqual([settings, dataDir], [SETTINGS, "/data/titles"]);
    const changed = { ...DATASET, train: DATASET.train.toReversed() };
    await writeTrainingArgs(dir, SETTINGS, changed);
    deepStrictEqual((await readTrainingArgs(dir)).dataSha256 === dataSha256, false);
  });
});

Deno.test("readTrainingArgs() names what is wrong", async () => {
  await inFolder(async (dir) => {
    await rejects(readTrainingArgs(dir), {
      name: "UserError",
      message: `Cannot read '${dir}': it is not the folder of a run`,
    });
    const file = join(dir, "training_args.json");
    await Deno.writeTextFile(file, '{"data": "/data", "batch_size": 0}');
    await rejects(readTrainingArgs(dir), {
      name: "UserError",
      message: /^Cannot read '.*training_args.json': 'batch_size' .*>0$/,
    });
  });
});

Deno.test("resumedSettings() lets only what is harmless change", () => {
  const args = { settings: SETTINGS, dataDir: "/data/titles", dataSha256: "" };
  deepStrictEqual(resumedSettings("run", args, {}, undefined), SETTINGS);
  deepStrictEqual(
    resumedSettings("run", args, { seed: 7, threads: 1, device: "wasm" }, "/data/titles/"),
    { ...SETTINGS, threads: 1, device: "wasm" },
  );
  throws(() => resumedSettings("run", args, { seed: 8, epochs: 2, threads: 1 }, "/data/other"), {
    name: "UserError",
    message: "Cannot resume 'run' with other settings: seed is 7 there, not 8; " +
      "epochs is not set there, not 2; data is /data/titles there, not /data/other",
  });
});
