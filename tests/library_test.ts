/**
 * The library, as a program that imports it uses it.
 *
 * @module
 */
import { deepStrictEqual, ok, rejects } from "node:assert";
import { join } from "node:path";
import { Hono } from "hono";
import {
  createApp,
  evaluate,
  loadClassifier,
  prepare,
  resumeTraining,
  train,
  TrainingInterrupted,
  UserError,
} from "../mod.ts";

const SETTINGS = {
  model: "scratch:tiny",
  maxSteps: 2,
  maxLength: 16,
  device: "wasm",
  threads: 1,
} as const;

async function withTable(test: (table: string, dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    const table = join(dir, "animals.csv");
    const rows = Array.from({ length: 60 }, (_, i) => `the ${["dog", "cat"][i % 2]} sleeps ${i}`);
    const lines = rows.map((text) => `${text},${text.includes("dog") ? "dogs" : "cats"}`);
    await Deno.writeTextFile(table, `text,label\n${lines.join("\n")}\n`);
    await test(table, dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("a table becomes a model that is measured, loaded and served", async () => {
  await withTable(async (table, dir) => {
    const outDir = join(dir, "runs", "animals");
    const events = new Set<string>();
    const notes: string[] = [];
    // One class in two spellings, for training and for measuring alike.
    await Deno.writeTextFile(table, (await Deno.readTextFile(table)).replace(",dogs", ",Dogs"));
    const result = await train(table, { ...SETTINGS, normalizeLabels: true }, {
      outDir,
      onEvent: ({ type }) => events.add(type),
      onNote: (note) => notes.push(note),
    });
    deepStrictEqual([result.model_dir, result.steps], [outDir, 2]);
    deepStrictEqual([...events], ["start", "step", "evaluation", "checkpoint", "finish"]);
    ok(notes.some((note) => note.startsWith("Split 'animals.csv' by text")), notes.join("\n"));
    {
      await using classifier = await loadClassifier(outDir, { device: "wasm", threads: 1 });
      deepStrictEqual(classifier.labels, ["cats", "dogs"]);
      const [best] = (await classifier.classify(["the dog sleeps"]))[0]!;
      const [scores] = await classifier.scores(["the dog sleeps"]);
      deepStrictEqual(best!.score, Math.max(...scores!));
      deepStrictEqual(await classifier.predict(["the dog sleeps"]), [[best!.label]]);
      const report = await evaluate(classifier);
      ok(report.problem_type === "single_label_classification");
      ok(result.metrics.problem_type === "single_label_classification");
      deepStrictEqual(report.confusion_matrix, result.metrics.confusion_matrix);
      const onTable = await evaluate(classifier, table);
      deepStrictEqual(onTable.n, 60);
      const dogs = await evaluate(classifier, undefined, { skipLabels: "cats" });
      ok(dogs.n > 0 && dogs.n < report.n);
    }
    await using graft = await createApp({
      runsDir: join(dir, "runs"),
      device: "wasm",
      workers: 0,
      page: false,
    });
    await graft.ready;
    const app = new Hono().route("/graft", graft.app);
    const response = await app.request("/graft/v1/predict", {
      method: "POST",
      body: JSON.stringify({ inputs: ["the cat sleeps"] }),
    });
    const answer = await response.text();
    deepStrictEqual(response.status, 200, answer);
  });
});

Deno.test("what cannot be used is a UserError, and a signal stops a run", async () => {
  await withTable(async (table, dir) => {
    const outDir = join(dir, "out");
    await rejects(
      train(table, { ...SETTINGS, learningRate: 7 }, { outDir }),
      new UserError("Cannot use 'learningRate' 7: must be above 0 and at most 1"),
    );
    await rejects(
      train(table, { ...SETTINGS, stride: 8 }, { outDir }),
      new UserError(`Cannot use 'stride' 8: goes with 'longTexts' "chunk"`),
    );
    await rejects(loadClassifier(join(dir, "nothing")), UserError);
    await rejects(prepare(join(dir, "nothing.csv"), {}, { outDir }), UserError);
    const { files } = await prepare(table, { testRatio: 0.2 }, { outDir });
    deepStrictEqual(files.test?.rows, 12);
    await rejects(prepare(table, {}, { outDir }), UserError);
    const signal = AbortSignal.abort();
    await rejects(train(table, SETTINGS, { outDir: join(dir, "run"), signal }));
  });
});

Deno.test("a run that a signal stopped goes on, and ends with the weights of one that was not", async () => {
  await withTable(async (table, dir) => {
    const settings = { ...SETTINGS, maxSteps: 4, columnMapping: "text=words,label=kind" };
    const named = (await Deno.readTextFile(table)).replace("text,label", "words,kind");
    await Deno.writeTextFile(table, named);
    const weightsOf = (run: string) => Deno.readFile(join(dir, run, "model.safetensors"));
    await train(table, settings, { outDir: join(dir, "whole") });

    const outDir = join(dir, "stopped");
    const controller = new AbortController();
    const stopped = train(table, settings, {
      outDir,
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === "step" && event.step === 2) controller.abort();
      },
    });
    await rejects(stopped, TrainingInterrupted);
    await resumeTraining(outDir);
    const whole = await weightsOf("whole");
    ok((await weightsOf("stopped")).every((byte, i) => byte === whole[i]));
    await rejects(resumeTraining(outDir), UserError);
  });
});
