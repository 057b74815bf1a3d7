import { deepStrictEqual, rejects } from "node:assert";
import { join, relative } from "node:path";
import { TrainSettings } from "../settings.ts";
import { readTrainingArgs, resumedSettings, writeTrainingArgs } from "./training_args.ts";
import { withFolder } from "../../tests/support/with_folder.ts";

const SETTINGS = TrainSettings.parse({ seed: 7, learningRate: 1e-3, freeze: "bert.*" });
const DATA = { dir: "/data/titles", sha256: "0123" };

Deno.test("readTrainingArgs() gives back what writeTrainingArgs() wrote", async () => {
  await withFolder({}, async (dir) => {
    await writeTrainingArgs(dir, SETTINGS, DATA);
    const { settings, dataDir, dataSha256 } = await readTrainingArgs(dir);
    deepStrictEqual([settings, dataDir, dataSha256], [SETTINGS, "/data/titles", "0123"]);
  });
});

Deno.test("readTrainingArgs() names what is wrong", async () => {
  await withFolder({}, async (dir) => {
    await rejects(readTrainingArgs(dir), {
      name: "UserError",
      message: `Cannot read '${dir}': it is not the folder of a run`,
    });
    const file = join(dir, "training_args.json");
    await Deno.writeTextFile(file, '{"data": "/data", "batch_size": 0}');
    await rejects(readTrainingArgs(dir), {
      name: "UserError",
      message:
        /^Cannot read '.*training_args.json': 'batch_size' must be a whole number from 1 to 1024$/,
    });
  });
});

Deno.test("resumedSettings() lets only what is harmless change", async () => {
  deepStrictEqual(await resumedSettings("run", SETTINGS, {}), SETTINGS);
  deepStrictEqual(
    await resumedSettings("run", SETTINGS, { seed: 7, threads: 1, device: "wasm" }),
    { ...SETTINGS, threads: 1, device: "wasm" },
  );
  await rejects(resumedSettings("run", SETTINGS, { seed: 8, epochs: 2, threads: 1 }), {
    name: "UserError",
    message: "Cannot resume 'run' with other settings: seed is 7 there, not 8; " +
      "epochs is not set there, not 2",
  });
});

Deno.test("resumedSettings() knows a model's folder by any path to it", async () => {
  await withFolder({}, async (dir) => {
    await writeTrainingArgs(dir, { ...SETTINGS, model: relative(Deno.cwd(), dir) }, DATA);
    const { settings } = await readTrainingArgs(dir);
    deepStrictEqual(settings.model, dir);
    const model = relative(Deno.cwd(), `${dir}/`);
    deepStrictEqual((await resumedSettings("run", settings, { model })).model, dir);
    await rejects(resumedSettings("run", settings, { model: join(dir, "other") }), /model is/);
  });
});
