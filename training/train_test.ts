import { deepStrictEqual, match, notDeepStrictEqual, ok, rejects } from "node:assert";
import { join } from "node:path";
import { z } from "zod";
import type { Dataset } from "../data/dataset.ts";
import { exists, readJson } from "../lib/files.ts";
import { loadClassifier, saveClassifier } from "../models/formats/classifier_folder.ts";
import { labelsOf } from "../models/formats/config.ts";
import { scratchClassifier } from "../models/scratch.ts";
import { type LabelScore, TextClassifier } from "../models/inference/text_classifier.ts";
import { Executor } from "../onnx/runtime/executor.ts";
import { evaluateFile } from "./evaluate_file.ts";
import type { EvaluationEvent, TrainEvent } from "./events.ts";
import type { Metric } from "./metrics.ts";
import { TrainSettings } from "./settings.ts";
import type { TrainSettingsInput } from "./settings_input.ts";
import { train } from "./train.ts";
import { SONGS_AND_RECIPES as DATASET } from "../tests/support/small_datasets.ts";

/** The words of texts that name none, one or both of two classes. */
const SEVERAL = Array.from({ length: 32 }, (_, i) => {
  const names = ["food", "music"].filter((_, bit) => (i >> bit) % 2 === 1);
  return { text: `${names.join(" and ")} for number ${i}`, label: names.join("|") };
});

/** Trains in a folder of its own and passes on what came out. */
async function trained(
  settings: TrainSettingsInput,
  test: (dir: string, events: TrainEvent[]) => Promise<void> | void,
  dataset: Dataset = DATASET,
): Promise<void> {
  const parent = await Deno.makeTempDir();
  try {
    const outDir = join(parent, "model");
    const events: TrainEvent[] = [];
    await train(dataset, {
      settings: TrainSettings.parse({
        model: "scratch:tiny",
        threads: 1,
        batchSize: 8,
        ...settings,
      }),
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

/** A metric of each epoch. */
function metricOf(events: readonly TrainEvent[], metric: Metric): number[] {
  return evaluations(events).map((event) => (event as Partial<Record<Metric, number>>)[metric]!);
}

Deno.test("train() learns what can be learned", async () => {
  await trained({ epochs: 12 }, (_dir, events) => {
    const losses = events.flatMap((event) => event.type === "step" ? event.loss : []);
    deepStrictEqual(losses.length, 36);
    ok(losses.at(-1)! < 0.1, `the last loss is ${losses.at(-1)}`);
    deepStrictEqual(metricOf(events, "accuracy").at(-1), 1);
  });
});

Deno.test("train() keeps the weights of the best epoch", async () => {
  await trained({ epochs: 6 }, (_dir, events) => {
    const scores = metricOf(events, "f1_macro");
    const finish = events.at(-1)!;
    ok(finish.type === "finish" && "f1_macro" in finish.metrics);
    deepStrictEqual(finish.best_epoch, scores.indexOf(Math.max(...scores)) + 1);
    deepStrictEqual(finish.metrics.split, "validation");
    deepStrictEqual(finish.metrics.f1_macro, Math.max(...scores));
  });
});

Deno.test("train() keeps the weights of the epoch that is best by the metric of one's choice", async () => {
  await trained({ epochs: 4, metric: "loss" }, (_dir, events) => {
    const losses = evaluations(events).map(({ loss }) => loss);
    const finish = events.at(-1)!;
    ok(finish.type === "finish");
    deepStrictEqual(finish.best_epoch, losses.indexOf(Math.min(...losses)) + 1);
  });
});

Deno.test("train() says which classes a sample of the rows lacks", async () => {
  await trained({ maxSteps: 1, maxTrainSamples: 1, partner: "none" }, (_dir, events) => {
    const [start] = events.filter((event) => event.type === "start");
    ok(
      start!.notes.some((note) =>
        /^Sampling 1 row to train on leaves none of '(food|music)'$/.test(note)
      ),
    );
  });
});

Deno.test("train() gives a class whose texts weigh more to more texts", async () => {
  const foodShare = async (classWeights: string) => {
    let found = NaN;
    await trained({ maxSteps: 2, partner: "none", classWeights }, (_dir, events) => {
      const finish = events.at(-1)!;
      ok(finish.type === "finish" && "confusion_matrix" in finish.metrics);
      found = finish.metrics.confusion_matrix.reduce((sum, [food]) => sum + food!, 0);
    });
    return found;
  };
  deepStrictEqual([await foodShare("food=50"), await foodShare("music=50")], [8, 0]);
});

Deno.test("train() learns several labels a text, and the folder gives them back", async () => {
  const settings = { problemType: "multi_label_classification", epochs: 20 } as const;
  const dataset = { ...DATASET, train: SEVERAL, validation: SEVERAL.slice(0, 8) };
  await trained(settings, async (dir, events) => {
    const microF1s = metricOf(events, "f1_micro");
    deepStrictEqual(Math.max(...microF1s), 1);
    const finish = events.at(-1)!;
    ok(finish.type === "finish");
    deepStrictEqual(finish.best_epoch, microF1s.indexOf(1) + 1);

    const { config } = await loadClassifier(dir);
    deepStrictEqual([config.problem_type, labelsOf(config)], [
      "multi_label_classification",
      ["food", "music"],
    ]);
    const state = await readJson(join(dir, "trainer_state.json"), z.looseObject({}));
    deepStrictEqual(state["best_metric"], 1);
    match(JSON.stringify(state["log_history"]), /"eval_f1_micro":1/);

    await using executor = await Executor.start({ threads: 1 });
    const classifier = await TextClassifier.load(executor, dir);
    const file = join(dir, "some.csv");
    const examples = SEVERAL.slice(0, 8);
    const lines = examples.map(({ text, label }) => `${text},${label}\n`);
    await Deno.writeTextFile(file, ["text,label\n", ...lines].join(""));
    const { report, rows } = await evaluateFile(classifier, file, undefined);
    ok(report.problem_type === "multi_label_classification");
    deepStrictEqual([report.accuracy, report.f1_micro], [1, 1]);
    deepStrictEqual(rows.map(({ predicted }) => predicted), examples.map(({ label }) => label));
    const scores = await classifier.scores(examples.map(({ text }) => text));
    for (const [i, { score }] of rows.entries()) {
      const product = scores[i]!.reduce(
        (product, score) => product * Math.max(score, 1 - score),
        1,
      );
      ok(Math.abs(score! - product) < 1e-6, `${score}, not ${product}`);
    }

    await Deno.writeTextFile(file, "text,label\na song,music|dance\n");
    await rejects(evaluateFile(classifier, file, undefined), {
      name: "UserError",
      message:
        `Cannot evaluate '${file}': label 'dance' is not one of the model's 2, 'food', 'music'`,
    });
  }, dataset);
});

Deno.test("train() learns a number, and the folder gives it back", async () => {
  const numbers = SEVERAL.map(({ text }) => ({
    text,
    label: String(1.5 * Number(text.includes("food")) - Number(text.includes("music"))),
  }));
  const dataset = {
    ...DATASET,
    labels: ["LABEL_0"],
    train: numbers,
    validation: numbers.slice(0, 8),
  };
  await trained({ problemType: "regression", epochs: 20 }, async (dir, events) => {
    const errors = metricOf(events, "mse");
    const least = Math.min(...errors);
    ok(least < 0.05, `the least error is ${least}`);
    for (const { loss, ...event } of evaluations(events)) {
      ok("mse" in event && Math.abs(loss - event.mse) < 1e-12);
    }
    const finish = events.at(-1)!;
    ok(finish.type === "finish" && finish.metrics.problem_type === "regression");
    deepStrictEqual(finish.best_epoch, errors.indexOf(least) + 1);
    ok(finish.network_alone?.problem_type === "regression");
    deepStrictEqual(finish.network_alone.mse, least);
    ok(finish.metrics.mse < least, "the partner helps");

    const { config } = await loadClassifier(dir);
    deepStrictEqual([config.problem_type, labelsOf(config)], ["regression", ["LABEL_0"]]);
    await using executor = await Executor.start({ threads: 1 });
    const classifier = await TextClassifier.load(executor, dir);
    const [[answer]] = await classifier.classify(["food for number 3"]) as [[LabelScore]];
    deepStrictEqual(answer.label, "LABEL_0");
    ok(Math.abs(answer.score - 1.5) < 0.6, `food is ${answer.score}`);

    const file = join(dir, "some.csv");
    await Deno.writeTextFile(file, "text,label\nfood for number 3,1.5\n");
    const { report, rows } = await evaluateFile(classifier, file, undefined);
    ok(report.problem_type === "regression");
    ok(Math.abs(report.mae - Math.abs(answer.score - 1.5)) < 1e-6);
    deepStrictEqual(rows.map(({ label, score }) => [label, score]), [["1.5", undefined]]);
    ok(Math.abs(Number(rows[0]!.predicted) - answer.score) < 1e-6);
  }, dataset);
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
  const ways = [
    { batchSize: 4, gradientAccumulationSteps: 2 },
    { batchSize: 1, gradientAccumulationSteps: 8 },
    { batchSize: 8, stepMemory: 1 },
  ];
  for (const way of ways) {
    const inParts = await steps(way);
    deepStrictEqual(inParts.length, whole.length);
    for (const [i, value] of inParts.entries()) {
      const error = Math.abs(value - whole[i]!) / whole[i]!;
      ok(error < 1e-3, `figure ${i} is ${value}, in whole batches ${whole[i]}`);
    }
  }
});

Deno.test("train() takes the same steps with gradient checkpointing", async () => {
  const losses = async (gradientCheckpointing: boolean) => {
    const found: number[] = [];
    await trained({ epochs: 2, gradientCheckpointing }, (_dir, events) => {
      for (const event of events) if (event.type === "step") found.push(event.loss);
    });
    return found;
  };
  deepStrictEqual(await losses(true), await losses(false));
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
    const texts = Array.from(DATASET.train, ({ text }) => text);
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
      const options = {
        settings: TrainSettings.parse({ model: "scratch:tiny", ...settings }),
        outDir,
        overwrite: true,
      };
      await rejects(train(DATASET, options), { name: "UserError" });
      deepStrictEqual(await Deno.readTextFile(join(outDir, "metrics.json")), metrics);
    }
  });
});

Deno.test("train() stops with advice when the loss is no number", async () => {
  const base = await Deno.makeTempDir();
  try {
    const texts = Array.from(DATASET.train, ({ text }) => text);
    const options = { seed: 11, maxLength: 256 };
    const classifier = scratchClassifier("tiny", texts, DATASET.labels, options);
    classifier.weights["classifier.weight"]!.fill(3e38);
    await saveClassifier(base, classifier);
    await rejects(trained({ model: base }, () => {}), {
      name: "UserError",
      message: "Cannot go on after step 1: the loss is NaN, its gradient's norm NaN; " +
        "try a lower learning rate than 0.0005",
    });
  } finally {
    await Deno.remove(base, { recursive: true });
  }
});

Deno.test("train() keeps the last checkpoint and the best", async () => {
  await trained({ epochs: 6 }, async (dir, events) => {
    const finish = events.at(-1)!;
    ok(finish.type === "finish");
    const kept = [...Deno.readDirSync(join(dir, "checkpoints"))].map(({ name }) => name).sort();
    const steps = [...new Set([3 * finish.best_epoch, 18])].map((step) => `checkpoint-${step}`);
    deepStrictEqual(kept, steps.sort());
    const best = await loadClassifier(
      join(dir, "checkpoints", `checkpoint-${3 * finish.best_epoch}`),
    );
    const { weights } = await loadClassifier(dir);
    for (const [name, values] of Object.entries(best.weights)) {
      // The head has been calibrated since.
      if (name.startsWith("classifier.")) continue;
      ok(values.every((value, i) => value === weights[name]![i]), name);
    }
  });
});

Deno.test("train() keeps the optimizer's moments of a finished run only if it is told to", async () => {
  for (const keepOptimizer of [false, true]) {
    await trained({ epochs: 2, keepOptimizer }, async (dir) => {
      const parent = join(dir, "checkpoints");
      for await (const { name } of Deno.readDir(parent)) {
        const kept = await exists(join(parent, name, "optimizer.safetensors"));
        deepStrictEqual([name, kept], [name, keepOptimizer]);
      }
    });
  }
});

Deno.test("train() keeps as many of the newest checkpoints as it is told to", async () => {
  await trained({ epochs: 6, saveTotalLimit: 3 }, async (dir) => {
    const kept = (await Array.fromAsync(Deno.readDir(join(dir, "checkpoints"))))
      .map(({ name }) => name);
    for (const step of [12, 15, 18]) ok(kept.includes(`checkpoint-${step}`), `${kept}`);
    ok(kept.length <= 4, `${kept}`);
  });
});

Deno.test("train() resumes only unfinished runs, on the same data", async () => {
  const outDir = await Deno.makeTempDir();
  try {
    const settings = TrainSettings.parse({
      model: "scratch:tiny",
      threads: 1,
      maxSteps: 4,
      epochs: 4,
    });
    const resume = (dataset: Dataset) => train(dataset, { settings, outDir, resume: true });
    await rejects(resume(DATASET), {
      message: `Cannot read '${outDir}': it is not the folder of a run`,
    });

    const controller = new AbortController();
    const onEvent = ({ type }: TrainEvent) => type === "step" && controller.abort();
    const { signal } = controller;
    await rejects(train(DATASET, { settings, outDir, signal, onEvent }), { step: 1 });
    await rejects(resume({ ...DATASET, train: [...DATASET.train].reverse() }), {
      name: "UserError",
      message: `Cannot resume '${outDir}': the data in '/data' have changed`,
    });
    await resume(DATASET);
    await rejects(resume(DATASET), { message: `Cannot resume '${outDir}': it is finished` });
  } finally {
    await Deno.remove(outDir, { recursive: true });
  }
});
