/**
 * Runs for which memory proves too little on the way.
 *
 * @module
 */
import { deepStrictEqual, rejects } from "node:assert";
import { join } from "node:path";
import { OutOfMemoryError } from "../../onnx/runtime/device_memory.ts";
import { Executor } from "../../onnx/runtime/executor.ts";
import { pretrain } from "../../training/pretraining/pretrain.ts";
import { PretrainSettings } from "../../training/pretraining/settings.ts";
import { TrainSettings } from "../../training/settings.ts";
import { train } from "../../training/train.ts";
import { SONGS_AND_RECIPES as DATASET } from "../support/small_datasets.ts";
import { withFolder } from "../support/with_folder.ts";

const SMALL = {
  model: "scratch:tiny",
  batchSize: 8,
  epochs: 3,
  device: "wasm",
  threads: 1,
} as const;

/** Lets memory be too little for some steps, counted over all attempts, while something runs. */
async function withFailingSteps<Result>(
  failing: readonly number[],
  run: () => Promise<Result>,
): Promise<Result> {
  const { start } = Executor;
  let steps = 0;
  Executor.start = async (options) => {
    const executor = await start.call(Executor, options);
    const load = executor.loadTrainingSession.bind(executor);
    executor.loadTrainingSession = async (...args) => {
      const session = await load(...args);
      const submit = session.submit.bind(session);
      session.submit = (...args) =>
        failing.includes(++steps)
          ? Promise.reject(new OutOfMemoryError("the device has too little memory"))
          : submit(...args);
      return session;
    };
    return executor;
  };
  try {
    return await run();
  } finally {
    Executor.start = start;
  }
}

const weightsOf = (dir: string) => Deno.readFile(join(dir, "model.safetensors"));

async function stepMemoryOf(dir: string): Promise<number> {
  return JSON.parse(await Deno.readTextFile(join(dir, "training_args.json"))).step_memory;
}

Deno.test("train() goes on with half the memory where it was too little, to the same weights", async () => {
  await withFolder({}, async (dir) => {
    const settings = TrainSettings.parse({ ...SMALL, partner: "none", saveSteps: 1 });
    const [whole, failed] = [join(dir, "whole"), join(dir, "failed")];
    await train(DATASET, { settings, outDir: whole });
    deepStrictEqual(await stepMemoryOf(whole), 1024);
    await withFailingSteps([1, 5], () => train(DATASET, { settings, outDir: failed }));
    deepStrictEqual(await stepMemoryOf(failed), 256);
    deepStrictEqual(await weightsOf(failed), await weightsOf(whole));
  });
});

Deno.test("train() ends in one line where the least memory is too much", async () => {
  await withFolder({}, async (dir) => {
    const settings = TrainSettings.parse({ ...SMALL, partner: "none", stepMemory: 64 });
    const run = () => train(DATASET, { settings, outDir: join(dir, "run") });
    await rejects(withFailingSteps([1], run), {
      name: "UserError",
      message: /^Cannot go on: the device has too little memory, with one text at a time; lower/,
    });
  });
});

Deno.test("pretrain() goes on with half the memory where it was too little, to the same weights", async () => {
  await withFolder({}, async (dir) => {
    const file = join(dir, "texts.txt");
    await Deno.writeTextFile(file, Array.from(DATASET.train, ({ text }) => text).join("\n"));
    const settings = PretrainSettings.parse({ ...SMALL, vocabularySize: 100, saveSteps: 1 });
    const [whole, failed] = [join(dir, "whole"), join(dir, "failed")];
    await pretrain({ settings, texts: [file], outDir: whole });
    await withFailingSteps([2], () => pretrain({ settings, texts: [file], outDir: failed }));
    deepStrictEqual(await stepMemoryOf(failed), 512);
    deepStrictEqual(await weightsOf(failed), await weightsOf(whole));
  });
});
