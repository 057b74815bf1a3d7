import { deepStrictEqual, notDeepStrictEqual, ok, rejects } from "node:assert";
import { join } from "node:path";
import type { Dataset } from "../data/dataset.ts";
import { loadClassifier, saveClassifier } from "../models/classifier.ts";
import { scratchClassifier } from "../models/scratch.ts";
import type { EvaluationEvent, TrainEvent } from "./events.ts";
import { TrainSettings, type TrainSettingsInput } from "./settings.ts";
import { train } from "./train.ts";

/** Two classes that one word tells apart. */
const EXAMPLES = Array.from({ length: 24 }, (_, i) => ({
  text: i % 2 === 0 ? `a song for number ${i}` : `a recipe for number ${i}`,
  label: i % 2 === 0 ? "music" : "food",
}));
const DATASET: Dataset = {
  dir: "/data",
  labels: ["food", "music"],
  train: EXAMPLES,
  validation: EXAMPLES.slice(0, 8),
  test: [],
};

/** Trains in a folder of its own and passes on what came out. */
async function trained(
  settings: TrainSettingsInput,
  test: (dir: string, events: TrainEvent[]) => Promise<void> | void,
): Promise<void> {
  const parent = await Deno.makeTempDir();
  try {
    const outDir = join(parent, "model");
    const events: TrainEvent[] = [];
    await train(DATASET, {
      settings: TrainSettings.parse({ threads: 1, batchSize: 8, ...settings }),
      outDir,
      onEvent: (event) => events.push(event),
    });
    await test(outDir, events);
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
}

function evaluations(events: readonly TrainEvent[]): EvaluationEvent[] {
  return events.filter((event) => event.type === "evaluation");
}

Deno.test("train() learns what can be learned", async () => {
  await trained({ epochs: 12 }, (_dir, events) => {
    const losses = events.flatMap((event) => event.type === "step" ? event.loss : []);
    deepStrictEqual(losses.length, 36);
    ok(losses.at(-1)! < 0.1, `the last loss is ${losses.at(-1)}`);
    deepStrictEqual(evaluations(events).at(-1)!.accuracy, 1);
  });
});

Deno.test("train() keeps the weights of the best epoch", async () => {
  await trained({ epochs: 6 }, (_dir, events) => {
    const accuracies = evaluations(events).map(({ accuracy }) => accuracy);
    const finish = events.at(-1)!;
    ok(finish.type === "finish");
    deepStrictEqual(finish.best_epoch, accuracies.indexOf(Math.max(...accuracies)) + 1);
    deepStrictEqual(finish.metrics.split, "validation");
    deepStrictEqual(finish.metrics.accuracy, Math.max(...accuracies));
  });
});

Deno.test("train() takes the same steps in parts as in whole batches", async () => {
  const steps = async (settings: TrainSettingsInput) => {
    const found: number[] = [];
    await trained({ dropout: 0, shuffle: false, epochs: 3, ...settings }, (_dir, events) => {
      for (const event of events) {
        if (event.type === "step") found.push(event.loss, event.grad_norm);
      }
    });
    return found;
  };
  const whole = await steps({ batchSize: 8 });
  deepStrictEqual(whole.length, 2 * 9);
  for (const [batchSize, gradientAccumulationSteps] of [[4, 2], [1, 8]] as const) {
    const inParts = await steps({ batchSize, gradientAccumulationSteps });
    deepStrictEqual(inParts.length, whole.length);
    for (const [i, value] of inParts.entries()) {
      const error = Math.abs(value - whole[i]!) / whole[i]!;
      ok(error < 1e-3, `figure ${i} is ${value}, in whole batches ${whole[i]}`);
    }
  }
});

Deno.test("train() stops when patience ends", async () => {
  await trained({ epochs: 30, patience: 2 }, (_dir, events) => {
    const done = evaluations(events);
    ok(done.length < 30, `${done.length} epochs`);
    deepStrictEqual(done.slice(-2).map(({ best }) => best), [false, false]);
    deepStrictEqual(done.at(-3)!.best, true);
  });
});

Deno.test("train() leaves frozen parameters as they are and trains the others", async () => {
  await trained({ maxSteps: 4, freeze: "bert.embeddings.*,*.layer.0.*" }, async (dir) => {
    const { weights } = await loadClassifier(dir);
    const texts = EXAMPLES.map(({ text }) => text);
    const options = { seed: 11, maxLength: 256 };
    const { weights: initial } = scratchClassifier("tiny", texts, DATASET.labels, options);
    for (const [name, values] of Object.entries(weights)) {
      if (/embeddings|layer\.0\./.test(name)) deepStrictEqual(values, initial[name], name);
      else notDeepStrictEqual(values, initial[name], name);
    }
  });
});

Deno.test("train() leaves the run that it was to overwrite when a setting is wrong", async () => {
  await trained({ maxSteps: 1 }, async (outDir) => {
    const metrics = await Deno.readTextFile(join(outDir, "metrics.json"));
    for (const settings of [{ model: "/nowhere" }, { freeze: "nothing.like.this" }]) {
      const options = { settings: TrainSettings.parse(settings), outDir, overwrite: true };
      await rejects(train(DATASET, options), { name: "UserError" });
      deepStrictEqual(await Deno.readTextFile(join(outDir, "metrics.json")), metrics);
    }
  });
});

Deno.test("train() stops with advice when the loss is no number", async () => {
  const base = await Deno.makeTempDir();
  try {
    const texts = EXAMPLES.map(({ text }) => text);
    const options = { seed: 11, maxLength: 256 };
    const classifier = scratchClassifier("tiny", texts, DATASET.labels, options);
    classifier.weights["classifier.bias"]!.fill(NaN);
    await saveClassifier(base, classifier);
    await rejects(trained({ model: base }, () => {}), {
      name: "UserError",
      message: "Cannot go on after step 1: the loss is NaN, its gradient's norm NaN; " +
        "try a lower --learning-rate than 0.00005",
    });
  } finally {
    await Deno.remove(base, { recursive: true });
  }
});
