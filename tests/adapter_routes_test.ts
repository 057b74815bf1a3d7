/**
 * Adapters over HTTP: many of them on one base, in one batch.
 *
 * @module
 */
import { deepStrictEqual, match, ok } from "node:assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { baseOf, readAdapter, saveAdapter } from "../models/formats/adapter.ts";
import { Tokenizer } from "../models/text/tokenizer.ts";
import { readConfig, withLabels } from "../models/family.ts";
import { type LabelScore, TextClassifier } from "../models/inference/text_classifier.ts";
import { DTYPES, weightBytes } from "../models/onnx_model.ts";
import { Executor } from "../onnx/runtime/executor.ts";
import { METRICS_FILE } from "../training/folder/run_folder.ts";
import { LocalServer } from "./support/local_server.ts";

const PEFT = fileURLToPath(new URL("./peft", import.meta.url));
const BASE = join(PEFT, "base");
const TEXTS = ["a bread", "a song for two", "news of today"];

/** Writes the folder of a finished run with an adapter: a prefix or a prompt. */
async function writeAdapter(dir: string, kind: "prefix" | "prompt"): Promise<void> {
  const { peft, weights } = await readAdapter(join(PEFT, kind));
  await saveAdapter(dir, {
    base: await baseOf(BASE),
    peft,
    weights,
    tokenizer: await Tokenizer.load(BASE),
    config: withLabels(await readConfig(BASE), [`${kind} 1`, `${kind} 2`, `${kind} 3`]),
    maxLength: 8,
  });
  await Deno.writeTextFile(join(dir, METRICS_FILE), "{}");
}

Deno.test("rows of several adapters share a batch and get the scores that they get alone", async () => {
  await using server = await LocalServer.start({ seeds: { full: 1 }, allowedBases: [BASE] });
  const kinds = { first: "prefix", second: "prompt", third: "prefix" } as const;
  for (const [name, kind] of Object.entries(kinds)) {
    await writeAdapter(join(server.runsDir, name), kind);
  }
  const models = Object.keys(kinds);
  const inputs = TEXTS.flatMap((text) => models.map((model) => ({ text, model })));
  // Each is loaded once before batches are counted.
  await server.post("/v1/predict", { inputs: models.map((model) => ({ text: "a", model })) });
  const metrics = async () => {
    const text = await (await server.app.request("/metrics")).text();
    return Number(/^graft_batch_rows_count (\d+)$/m.exec(text)![1]);
  };
  const before = await metrics();
  const { predictions } = await server.post<{ predictions: LabelScore[][] }>("/v1/predict", {
    inputs,
  });
  // Fewer than one for each model.
  ok(await metrics() - before < models.length);

  await using executor = await Executor.start({ threads: 1 });
  for (const [i, { text, model }] of inputs.entries()) {
    const alone = await TextClassifier.load(executor, join(server.runsDir, model));
    const [expected] = await alone.classify([text]);
    deepStrictEqual(predictions[i]!.map(({ label }) => label), expected!.map(({ label }) => label));
    for (const [j, { score }] of predictions[i]!.entries()) {
      ok(Math.abs(score - expected![j]!.score) <= 1e-6, `${score}, not ${expected![j]!.score}`);
    }
    await alone.release();
  }
});

for (const dtype of DTYPES) {
  Deno.test(`a base is loaded with its first adapter and leaves with its last, as ${dtype}`, async () => {
    // Room for the base and a few adapters, and for no second base.
    const maxBytes = 1.5 * weightBytes(await readConfig(BASE), dtype);
    await using server = await LocalServer.start({
      cacheOptions: { dtype, maxBytes },
      allowedBases: [BASE],
    });
    for (const name of ["a", "b"]) await writeAdapter(join(server.runsDir, name), "prefix");
    const loaded = () => server.cache.loaded.map(({ version }) => version.name).sort();
    for (const round of [1, 2]) {
      for (const model of ["a", "b"]) {
        await server.post("/v1/predict", { model, inputs: [`a bread ${round}`] });
      }
      deepStrictEqual(loaded(), ["a", "b"]);
      server.cache.forget(await Promise.all(["a", "b"].map((name) => server.models.resolve(name))));
      deepStrictEqual(loaded(), []);
    }
  });
}

Deno.test("an adapter takes the place of another where the device can hold one only", async () => {
  const startExecutor = async () => {
    const executor = await Executor.start({ threads: 1 });
    const load = executor.loadTableSession.bind(executor);
    executor.loadTableSession = async (...args) => ({
      ...await load(...args),
      maxRows: () => Promise.resolve(5),
    });
    return executor;
  };
  await using server = await LocalServer.start({
    cacheOptions: { startExecutor },
    allowedBases: [BASE],
  });
  for (const name of ["a", "b"]) await writeAdapter(join(server.runsDir, name), "prefix");
  const answers = [];
  for (const model of ["a", "b", "a"]) {
    answers.push(await server.post("/v1/predict", { model, inputs: ["a bread"] }));
    deepStrictEqual(server.cache.loaded.map(({ version }) => version.name), [model]);
  }
  deepStrictEqual(answers[2], answers[0]);
});

Deno.test("an adapter without its base is answered with 424", async () => {
  await using server = await LocalServer.start({ allowedBases: ["../nothing"] });
  const dir = join(server.runsDir, "a");
  await writeAdapter(dir, "prefix");
  const file = join(dir, "adapter_config.json");
  const config = JSON.parse(await Deno.readTextFile(file));
  await Deno.writeTextFile(
    file,
    JSON.stringify({ ...config, base_model_name_or_path: "../nothing" }),
  );
  const { error } = await server.post<{ error: string }>("/predict", { inputs: "a" }, 424);
  match(error, /^Cannot load model 'a'/);
});

Deno.test("an adapter whose base nobody allowed is no model, and its base is not asked for", async () => {
  await using server = await LocalServer.start({ seeds: { full: 1 } });
  const write = async (name: string, base: string) => {
    const dir = join(server.runsDir, name);
    await writeAdapter(dir, "prefix");
    const file = join(dir, "adapter_config.json");
    const config = JSON.parse(await Deno.readTextFile(file));
    await Deno.writeTextFile(file, JSON.stringify({ ...config, base_model_name_or_path: base }));
  };
  for (const base of [BASE, "someone/secret", join(server.runsDir, "..", "other")]) {
    await write("foreign", base);
    const { error } = await server.post<{ error: string }>(
      "/v1/predict",
      { model: "foreign", inputs: ["a"] },
      422,
    );
    match(error, /there is no model 'foreign'/, base);
  }
  await write("own", join(server.runsDir, "full"));
  // It is one of the server's, and not the one that it was tuned on.
  const { error } = await server.post<{ error: string }>(
    "/v1/predict",
    { model: "own", inputs: ["a"] },
    424,
  );
  match(error, /Cannot load model 'own'/);
});
