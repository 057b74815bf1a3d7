/**
 * Training that is stopped and resumed, in one process.
 *
 * @module
 */
import { deepStrictEqual, ok, rejects } from "node:assert";
import { join } from "node:path";
import { MISSING_DEVICES } from "../support/devices.ts";
import type { TrainEvent } from "../../training/events.ts";
import { TrainSettings } from "../../training/settings.ts";
import type { TrainSettingsInput } from "../../training/settings_input.ts";
import { train } from "../../training/train.ts";
import { SONGS_AND_RECIPES as DATASET } from "../support/small_datasets.ts";

/** Trains and is stopped after each of these steps; gives the weights and the log in the end. */
async function trainedInPieces(
  settings: TrainSettingsInput,
  stops: readonly number[],
): Promise<{ weights: Uint8Array; events: TrainEvent[] }> {
  const outDir = await Deno.makeTempDir();
  try {
    const events: TrainEvent[] = [];
    for (const [attempt, stop] of [...stops, Infinity].entries()) {
      const controller = new AbortController();
      const run = train(DATASET, {
        settings: TrainSettings.parse({
          model: "scratch:tiny",
          threads: 1,
          batchSize: 8,
          ...settings,
        }),
        outDir,
        resume: attempt > 0,
        signal: controller.signal,
        onEvent: (event) => {
          events.push(event);
          if (event.type === "step" && event.step === stop) controller.abort();
        },
      });
      if (stop === Infinity) await run;
      else await rejects(run, { name: "TrainingInterrupted", step: stop });
    }
    return { weights: await Deno.readFile(join(outDir, "model.safetensors")), events };
  } finally {
    await Deno.remove(outDir, { recursive: true });
  }
}

Deno.test("train() that is stopped and resumed ends as if it had not been", async () => {
  const settings = { epochs: 5, dropout: 0.2, saveSteps: 2 };
  const whole = await trainedInPieces(settings, []);
  // Three steps an epoch: within one, at its end, twice in a row, at the very end.
  for (const stops of [[4], [3], [1, 2, 7], [15]]) {
    const inPieces = await trainedInPieces(settings, stops);
    deepStrictEqual(inPieces.weights, whole.weights, `${stops}`);
    const figures = ({ events }: typeof whole) =>
      events.flatMap((event) =>
        event.type === "step" ? [event.loss] : event.type === "evaluation" ? [event.loss] : []
      );
    deepStrictEqual(figures(inPieces), figures(whole), `${stops}`);
  }
});

Deno.test({
  name: "train() that is stopped and resumed ends as if it had not been, on a GPU",
  ignore: MISSING_DEVICES.has("webgpu"),
  async fn() {
    // Steps whose results are not read at once: all between two checkpoints.
    const settings = { device: "webgpu", epochs: 3, dropout: 0.2, saveSteps: 2 } as const;
    const whole = await trainedInPieces(settings, []);
    const inPieces = await trainedInPieces(settings, [4]);
    deepStrictEqual(inPieces.weights, whole.weights);
    const order = (events: readonly TrainEvent[]) =>
      events.flatMap((event) =>
        ["step", "checkpoint", "evaluation"].includes(event.type) && "step" in event
          ? [`${event.type} ${event.step}`]
          : []
      );
    deepStrictEqual(order(whole.events), [
      ...["step 1", "step 2", "checkpoint 2", "step 3", "evaluation 3", "checkpoint 3"],
      ...["step 4", "checkpoint 4", "step 5", "step 6", "evaluation 6", "checkpoint 6"],
      ...["step 7", "step 8", "checkpoint 8", "step 9", "evaluation 9", "checkpoint 9"],
    ]);
  },
});

Deno.test("train() that is resumed stops when patience ends, as it would have", async () => {
  const settings = { epochs: 30, patience: 1, gradientAccumulationSteps: 2, freeze: "*.layer.0.*" };
  const whole = await trainedInPieces(settings, []);
  const steps = whole.events.filter(({ type }) => type === "step").length;
  ok(steps < 60, `${steps} steps`);
  for (const stops of [[3], [steps]]) {
    deepStrictEqual((await trainedInPieces(settings, stops)).weights, whole.weights, `${stops}`);
  }
});
