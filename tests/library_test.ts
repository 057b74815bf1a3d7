/**
 * The library, as a program that imports it uses it.
 *
 * @module
 */
import { deepStrictEqual, ok, rejects } from "node:assert";
import { join } from "node:path";
import { Hono } from "hono";
import { createApp, evaluate, loadClassifier, prepare, train, UserError } from "../mod.ts";

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
      const report = await evaluate(classifier);
      ok(report.problem_type === "single_label_classification");
      ok(result.metrics.problem_type === "single_label_classification");
      deepStrictEqual(report.confusion_matrix, result.metrics.confusion_matrix);
      const onTable = await evaluate(classifier, table);
      deepStrictEqual(onTable.n, 60);
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
    await rejects(loadClassifier(join(dir, "nothing")), UserError);
    await rejects(prepare(join(dir, "nothing.csv"), outDir), UserError);
    const { files } = await prepare(table, outDir, { testRatio: 0.2 });
    deepStrictEqual(files.test?.rows, 12);
    await rejects(prepare(table, outDir), UserError);
    const signal = AbortSignal.abort();
    await rejects(train(table, SETTINGS, { outDir: join(dir, "run"), signal }));
  });
});
