/**
 * How much memory a run of training takes, from the first text to the model's folder.
 *
 * @module
 */
import { readDataset } from "../data/dataset.ts";
import type { Device } from "../onnx/runtime/device.ts";
import { TrainSettings } from "../training/settings.ts";
import { stepPlan } from "../training/step_plan.ts";
import { train } from "../training/train.ts";
import { PeakMemory } from "./peak_memory.ts";

/** Settings of {@link benchMemory}. */
export interface MemoryBenchOptions {
  /** Random weights, or a folder, as `train` takes it. */
  model: string;
  /** The folder of the data set. */
  data: string;
  steps: number;
  device: Device;
}

/** The result of {@link benchMemory}; memory is the resident memory of this process. */
export interface MemoryBench {
  device: Device;
  model: string;
  /** At the end of every tenth of the steps. */
  resident: { step: number; bytes: number }[];
  /** The peak, checkpoints, evaluation and export included. */
  peak_resident_bytes: number;
}

const PARTS = 10;

/** Trains once, in a folder that is removed afterwards. */
export async function benchMemory(
  { model, data, steps, device }: MemoryBenchOptions,
): Promise<MemoryBench> {
  const dataset = await readDataset(data);
  const oneEpoch = { ...TrainSettings.parse({}), epochs: 1 };
  const { stepsPerEpoch } = stepPlan(dataset.train.length, oneEpoch);
  const settings = TrainSettings.parse({
    model,
    device,
    maxSteps: steps,
    epochs: Math.ceil(steps / stepsPerEpoch),
  });
  const resident: MemoryBench["resident"] = [];
  using memory = new PeakMemory();
  const outDir = await Deno.makeTempDir();
  try {
    await train(dataset, {
      settings,
      outDir,
      onEvent(event) {
        if (event.type !== "step" || event.step % Math.ceil(steps / PARTS) !== 0) return;
        resident.push({ step: event.step, bytes: memory.sample() });
      },
    });
  } finally {
    await Deno.remove(outDir, { recursive: true });
  }
  return { device, model, resident, peak_resident_bytes: memory.bytes };
}
