/**
 * Predictions over HTTP, in each shape that clients know.
 *
 * @module
 */
import { deepStrictEqual, match, notDeepStrictEqual, ok, strictEqual } from "node:assert";
import fc from "fast-check";
import { join } from "node:path";
import { type LabelScore, TextClassifier } from "../models/inference/text_classifier.ts";
import { Executor } from "../onnx/runtime/executor.ts";
import { crashableExecutor } from "./support/crashable_executor.ts";
import { LABELS, LocalServer, TEXTS, writeModel } from "./support/local_server.ts";
import { newRun } from "../orchestration/run_store.ts";

interface V1Answer {
  model: string | null;
  predictions: LabelScore[][];
  models: string[];
}

/** Fails unless two lists of scores are of the same labels and within 1e-6. */
function assertSameScores(actual: readonly LabelScore[], expected: readonly LabelScore[]): void {
  deepStrictEqual(actual.map(({ label }) => label), expected.map(({ label }) => label));
  for (const [i, { score }] of actual.entries()) ok(Math.abs(score - expected[i]!.score) <= 1e-6);
}

Deno.test("scores are those of predict, whatever batch a text travelled in", async () => {
  await using server = await LocalServer.start({ seeds: { a: 1, b: 2 }, maxBatchTokens: 48 });
  await using executor = await Executor.start({ threads: 1 });
  const expected: Record<string, Map<string, LabelScore[]>> = {};
  const texts = [...TEXTS, "bake bread", "a piano, a duet and sour bread"];
  for (const name of ["a", "b"]) {
    const classifier = await TextClassifier.load(executor, join(server.runsDir, name));
    const scores = await Promise.all(
      texts.map(async (text) => (await classifier.classify([text]))[0]!),
    );
    expected[name] = new Map(texts.map((text, i) => [text, scores[i]!]));
  }
  const row = fc.record({ text: fc.constantFrom(...texts), model: fc.constantFrom("a", "b") });
  const requests = fc.array(fc.array(row, { minLength: 1, maxLength: 8 }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(requests, async (requests) => {
      await Promise.all(requests.map(async (inputs) => {
        const answer = await server.post<V1Answer>("/v1/predict", { inputs });
        deepStrictEqual(answer.models, inputs.map(({ model }) => `${model}@1`));
        for (const [i, { text, model }] of inputs.entries()) {
          assertSameScores(answer.predictions[i]!, expected[model]!.get(text)!);
        }
      }));
    }),
    { numRuns: 20 },
  );
});

Deno.test("/v1/predict gives raw scores, the first classes, and refuses or cuts long texts", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 } });
  const inputs = [TEXTS[0], { text: TEXTS[1], text_pair: TEXTS[2] }];
  const { predictions, model } = await server.post<V1Answer>("/v1/predict", { inputs, top_k: 2 });
  strictEqual(model, "titles@1");
  deepStrictEqual(predictions.map((scores) => scores.length), [2, 2]);
  const alone = await server.post<V1Answer>("/v1/predict", { inputs: [TEXTS[1]] });
  notDeepStrictEqual(predictions[1], alone.predictions[0]!.slice(0, 2));

  const raw = await server.post<V1Answer>("/v1/predict", {
    inputs: [TEXTS[0]],
    function_to_apply: "none",
  });
  const logits = raw.predictions[0]!.map(({ score }) => score);
  ok(Math.abs(logits.reduce((a, b) => a + b) - 1) > 1e-3);

  const score = alone.predictions[0]![0]!.score;
  const sure = { inputs: [TEXTS[1]], abstain_below: score };
  deepStrictEqual(
    (await server.post<V1Answer>("/v1/predict", sure)).predictions,
    alone.predictions,
  );
  const unsure = { ...sure, abstain_below: score + 1e-6 };
  deepStrictEqual((await server.post<V1Answer>("/v1/predict", unsure)).predictions, [null]);

  const long = { inputs: ["a", "piano ".repeat(40)] };
  const refused = await server.post<{ error: string }>("/v1/predict", long, 413);
  match(refused.error, /^'inputs.1': has more than the 32 tokens/);
  await server.post("/v1/predict", { ...long, truncate: true });
});

Deno.test("answers tell what a request took and its id", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 } });
  const { headers } = await server.send("POST", "/v1/predict", { inputs: ["a duet"] });
  for (const name of ["compute", "total", "tokenization", "queue", "inference"]) {
    match(headers.get(`x-${name}-time`) ?? "", /^\d+$/);
  }
  strictEqual(headers.get("x-compute-characters"), "6");
  match(headers.get("x-compute-tokens") ?? "", /^[3-9]$/);
  strictEqual(headers.get("x-compute-type"), "cpu");
  ok(headers.get("x-request-id"));
});

Deno.test("/predict takes and gives what text-embeddings-inference does", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 } });
  const one = await server.post<LabelScore[]>("/predict", { inputs: "I like you." });
  deepStrictEqual(one.map(({ label }) => label).sort(), [...LABELS].sort());
  const pair = await server.post<LabelScore[]>("/predict", {
    inputs: ["I like you.", "I hate pineapples"],
    raw_scores: false,
    truncate: false,
  });
  notDeepStrictEqual(pair, one);
  const batch = await server.post<LabelScore[][]>("/predict", {
    inputs: [["I like you."], ["I like you.", "I hate pineapples"]],
  });
  assertSameScores(batch[0]!, one);
  assertSameScores(batch[1]!, pair);
  const raw = await server.post<LabelScore[]>("/predict", { inputs: "a", raw_scores: true });
  ok(Math.abs(raw.reduce((sum, { score }) => sum + score, 0) - 1) > 1e-3);
  for (const inputs of [[], ["a", "b", "c"], [["a", "b", "c"]], [[]], "", [["a"], "b"], 7, null]) {
    match((await server.post<{ error: string }>("/predict", { inputs }, 422)).error, /^'inputs/);
  }
  const many = { inputs: Array.from({ length: 33 }, () => ["a"]) };
  match((await server.post<{ error: string }>("/predict", many, 413)).error, /at most 32/);
});

Deno.test("/ and /models/{model} take and give what Hugging Face's API does", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 } });
  const [one] = await server.post<LabelScore[][]>("/", { inputs: TEXTS[0] });
  strictEqual(one!.length, 3);
  const both = await server.post<LabelScore[][]>("/models/titles", {
    inputs: [TEXTS[0], TEXTS[1]],
    parameters: { top_k: 1, function_to_apply: "softmax" },
  });
  deepStrictEqual(both.map((scores) => scores.length), [1, 1]);
  assertSameScores(both[0]!, one!.slice(0, 1));
  await server.post("/models/titles@1", { inputs: "a" });
  for (const name of ["none", "titles@2", "titles:x", "..%2Fsecret", "%2e%2e%2fx", "a%00b"]) {
    const { error } = await server.post<{ error: string }>(`/models/${name}`, { inputs: "a" }, 404);
    match(error, /there is no model|has no/);
  }
});

Deno.test("/classify takes and gives what vLLM does", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 } });
  interface Classified {
    id: string;
    object: string;
    created: number;
    model: string;
    data: { index: number; label: string; probs: number[]; num_classes: number }[];
    usage: { prompt_tokens: number; total_tokens: number };
  }
  const answer = await server.post<Classified>("/classify", { model: "titles", input: TEXTS });
  deepStrictEqual([answer.object, answer.model], ["list", "titles@1"]);
  match(answer.id, /^classify-/);
  ok(Number.isInteger(answer.created));
  ok(answer.usage.prompt_tokens > TEXTS.length);
  const { predictions } = await server.post<V1Answer>("/v1/predict", { inputs: TEXTS });
  for (const [index, scores] of predictions.entries()) {
    const classified = answer.data[index]!;
    deepStrictEqual([classified.index, classified.num_classes], [index, LABELS.length]);
    strictEqual(classified.label, scores[0]!.label);
    const probs = LABELS.map((label) => scores.find((score) => score.label === label)!.score);
    deepStrictEqual(classified.probs, probs);
  }
  const one = await server.post<Classified>("/classify", { input: TEXTS[0] });
  strictEqual(one.data[0]!.label, answer.data[0]!.label);
  const logits = await server.post<Classified>("/classify", {
    input: TEXTS[0],
    use_activation: false,
  });
  ok(Math.abs(logits.data[0]!.probs.reduce((a, b) => a + b) - 1) > 1e-3);
  const long = { input: ["a", "piano ".repeat(40)] };
  match((await server.post<{ error: string }>("/classify", long, 413)).error, /^'input.1': /);
  await server.post("/classify", { ...long, truncate_prompt_tokens: -1 });
  await server.post("/classify", { ...long, truncate_prompt_tokens: 16 }, 422);
  await server.post("/classify", { input: [] }, 422);
  await server.post("/classify", { input: "a", model: "none" }, 422);
});

Deno.test("/v2 speaks the Open Inference Protocol", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 } });
  const get = async (path: string) => await (await server.app.request(path)).json();
  strictEqual((await get("/v2")).name, "graft");
  deepStrictEqual(await get("/v2/health/live"), { live: true });
  deepStrictEqual(await get("/v2/health/ready"), { ready: true });
  const metadata = await get("/v2/models/titles");
  deepStrictEqual([metadata.name, metadata.versions], ["titles", ["1"]]);
  deepStrictEqual(await get("/v2/models/titles/versions/1/ready"), { name: "titles", ready: true });

  const tensor = { name: "text", shape: [2], datatype: "BYTES", data: [TEXTS[0], TEXTS[1]] };
  const answer = await server.post<{
    model_name: string;
    model_version: string;
    id: string;
    outputs: { name: string; datatype: string; shape: number[]; data: unknown[] }[];
  }>("/v2/models/titles/versions/1/infer", { id: "42", inputs: [tensor] });
  deepStrictEqual([answer.model_name, answer.model_version, answer.id], ["titles", "1", "42"]);
  const outputs = Object.fromEntries(answer.outputs.map((output) => [output.name, output]));
  deepStrictEqual(outputs["scores"]!.shape, [2, 3]);
  const { predictions } = await server.post<V1Answer>("/v1/predict", { inputs: tensor.data });
  const [first, second] = [outputs["labels"]!.data.slice(0, 3), outputs["labels"]!.data.slice(3)];
  deepStrictEqual([first, second], predictions.map((scores) => scores.map(({ label }) => label)));
  deepStrictEqual(outputs["label"]!.data, [first[0], second[0]]);

  const nested = { ...tensor, shape: [2, 1], data: [[TEXTS[0]], [TEXTS[1]]] };
  const chosen = await server.post<typeof answer>("/v2/models/titles/infer", {
    inputs: [nested],
    outputs: [{ name: "score" }],
  });
  deepStrictEqual(chosen.outputs.map(({ name }) => name), ["score"]);
  for (
    const [change, field] of [
      [{ shape: [3] }, "inputs.0.shape"],
      [{ shape: [2, 2] }, "inputs.0.shape"],
      [{ shape: [0], data: [] }, "inputs.0.data"],
      [{ datatype: "FP32" }, "inputs.0.datatype"],
      [{ data: ["a", ""] }, "inputs.0.data.1"],
    ] as const
  ) {
    const body = { inputs: [{ ...tensor, ...change }] };
    const { error } = await server.post<{ error: string }>("/v2/models/titles/infer", body, 422);
    ok(error.startsWith(`'${field}': `), error);
  }
  await server.post("/v2/models/none/infer", { inputs: [tensor] }, 404);
  await server.post("/v2/models/titles/versions/2/infer", { inputs: [tensor] }, 404);
});

Deno.test("a model that is trained anew gets a version, and an alias switches to it", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 } });
  const scores = async (model: string) => {
    const answer = await server.post<V1Answer>("/v1/predict", { model, inputs: [TEXTS[0]] });
    return { model: answer.model, scores: answer.predictions[0]! };
  };
  const put = (body: unknown) => server.send("PUT", "/v1/models/titles/aliases/stable", body);
  strictEqual((await put({ version: 1 })).status, 200);
  const old = await scores("titles:stable");
  strictEqual(old.model, "titles@1");

  // As a run that is given the name of another makes it.
  const fields = { settings: {}, base: "scratch:tiny", dataset: "x" };
  await server.store.create(newRun({ id: "r2", name: "titles", state: "succeeded", ...fields }));
  await writeModel(join(server.runsDir, "r2"), 2);
  const { models } = await (await server.app.request("/v1/models")).json();
  deepStrictEqual(
    models[0].versions.map((it: { version: number }) => it.version),
    [1, 2],
  );
  strictEqual((await scores("titles")).model, "titles@1");
  strictEqual((await scores("titles@2")).model, "titles@2");
  strictEqual((await scores("r2")).model, "titles@2");
  const current = "/v1/models/titles/aliases/current";
  strictEqual((await server.send("DELETE", current, undefined)).status, 409);
  strictEqual((await server.send("PUT", current, { version: 2 })).status, 200);
  strictEqual((await scores("titles")).model, "titles@2");
  strictEqual((await server.send("PUT", current, { version: 1 })).status, 200);
  deepStrictEqual(await scores("titles:stable"), old);
  strictEqual((await put({ version: 2 })).status, 200);
  const fresh = await scores("titles:stable");
  strictEqual(fresh.model, "titles@2");
  notDeepStrictEqual(fresh.scores, old.scores);

  const missing = await put({ version: 3 });
  deepStrictEqual([missing.status, (await missing.json()).error_type], [422, "validation"]);
  const remove = (path: string) => server.send("DELETE", `/v1/models/${path}`, undefined);
  strictEqual((await remove("titles@2")).status, 409);
  strictEqual((await remove("titles@1")).status, 409);
  strictEqual((await server.send("PUT", current, { version: 2 })).status, 200);
  strictEqual((await remove("titles@1")).status, 204);
  strictEqual((await remove("titles@1")).status, 404);
  strictEqual((await remove("titles/aliases/stable")).status, 204);
  strictEqual((await remove("titles")).status, 204);
  await server.post("/v1/predict", { model: "titles", inputs: ["a"] }, 422);
});

Deno.test("an alias divides requests by weight, and one key always gets one version", async () => {
  await using server = await LocalServer.start({ seeds: { a: 1 } });
  const fields = { settings: {}, base: "scratch:tiny", dataset: "x" };
  await server.store.create(newRun({ id: "a2", name: "a", state: "succeeded", ...fields }));
  await writeModel(join(server.runsDir, "a2"), 2);
  const weigh = (first: number, second: number) =>
    server.send("PUT", "/v1/models/a/aliases/canary", {
      versions: [{ version: 1, weight: first }, { version: 2, weight: second }],
    });
  strictEqual((await weigh(3, 1)).status, 200);
  const versionOf = async (key: string) => {
    const headers = { "X-Routing-Key": key };
    const body = { model: "a:canary", inputs: ["a"] };
    return (await (await server.send("POST", "/v1/predict", body, headers)).json()).model;
  };
  const keys = Array.from({ length: 100 }, (_, i) => `user ${i}`);
  const versions = await Promise.all(keys.map(versionOf));
  const toFirst = versions.filter((version) => version === "a@1").length;
  ok(toFirst > 60 && toFirst < 90, `${toFirst} of 100`);
  deepStrictEqual(await Promise.all(keys.map(versionOf)), versions);
  await weigh(0, 1);
  deepStrictEqual(new Set(await Promise.all(keys.map(versionOf))), new Set(["a@2"]));
  strictEqual((await weigh(0, 0)).status, 422);

  const metrics = await (await server.app.request("/metrics")).text();
  match(metrics, new RegExp(`graft_predictions_total{model="a",version="1"} ${2 * toFirst}`));
});

Deno.test("requests that name no model use the alias default, or the only model", async () => {
  await using server = await LocalServer.start({ seeds: { a: 1, b: 2 } });
  const { error } = await server.post<{ error: string }>("/v1/predict", { inputs: ["a"] }, 422);
  match(error, /one of 'a', 'b' must be named, or have the alias 'default'/);
  await server.post("/predict", { inputs: "a" }, 404);
  for (const name of ["a", "b"]) {
    await server.send("PUT", `/v1/models/${name}/aliases/default`, { version: 1 });
    const { model } = await server.post<V1Answer>("/v1/predict", { inputs: ["a"] });
    strictEqual(model, `${name}@1`);
    const info = await (await server.app.request("/info")).json();
    deepStrictEqual([info.model_id, info.max_input_length], [name, 32]);
    deepStrictEqual(Object.values(info.model_type.classifier.id2label), LABELS);
  }
});

Deno.test("a crash of the executor is answered with 424, and the next request by a new one", async () => {
  const { executor, crash } = await crashableExecutor();
  const executors = [executor];
  await using server = await LocalServer.start({
    seeds: { titles: 1 },
    cacheOptions: {
      startExecutor: async () => executors.pop() ?? await Executor.start({ threads: 1 }),
    },
  });
  const body = { inputs: ["a duet"] };
  const before = await server.post<V1Answer>("/v1/predict", body);
  crash();
  const { error, error_type } = await server.post<Record<string, string>>("/v1/predict", body, 424);
  match(error!, /the executor crashed/);
  strictEqual(error_type, "backend");
  deepStrictEqual(await server.post("/v1/predict", body), before);
});

Deno.test("a model that cannot be read is answered with 424", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 } });
  await Deno.remove(join(server.runsDir, "titles", "tokenizer.json"));
  await Deno.remove(join(server.runsDir, "titles", "vocab.txt"));
  const { error } = await server.post<{ error: string }>("/predict", { inputs: "a" }, 424);
  match(error, /^Cannot load model 'titles': Cannot read/);
  for (const path of ["/info", "/v2/models/titles/ready"]) {
    const response = await server.app.request(path);
    const answer = await response.json();
    deepStrictEqual([response.status, answer.error_type], [424, "backend"], path);
    match(answer.error, /^Cannot load model 'titles': Cannot read/);
  }
  const metrics = await (await server.app.request("/metrics")).text();
  match(metrics, /graft_prediction_failures_total{model="titles",version="1"} 1\n/);
});

Deno.test("a model without its weights is not ready", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 } });
  strictEqual((await server.app.request("/v2/models/titles/ready")).status, 200);
  await Deno.remove(join(server.runsDir, "titles", "model.safetensors"));
  await Deno.remove(join(server.runsDir, "titles", "onnx"), { recursive: true });
  const response = await server.app.request("/v2/models/titles/ready");
  strictEqual(response.status, 424);
  match((await response.json()).error, /holds no model.safetensors$/);
});

Deno.test("requests beyond the limit get 429 with Retry-After, the others an answer", async () => {
  await using server = await LocalServer.start({
    seeds: { titles: 1 },
    limits: { maxClientBatchSize: 32, maxConcurrentRequests: 4, payloadLimitBytes: 1000 },
  });
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => server.send("POST", "/predict", { inputs: "a" })),
  );
  const statuses = answers.map(({ status }) => status);
  deepStrictEqual(statuses.filter((status) => status === 200).length, 4);
  for (const { status, headers } of answers) {
    if (status === 200) continue;
    strictEqual(status, 429);
    match(headers.get("Retry-After") ?? "", /^[1-9]\d*$/);
  }
  await server.post("/predict", { inputs: "a" });
  await server.post("/predict", { inputs: "a".repeat(1000) }, 413);
});

Deno.test("a client that goes away frees its place at once", async () => {
  const { promise: opened, resolve: open } = Promise.withResolvers<void>();
  await using server = await LocalServer.start({
    seeds: { titles: 1 },
    limits: { maxClientBatchSize: 32, maxConcurrentRequests: 1, payloadLimitBytes: 1000 },
    cacheOptions: {
      startExecutor: async () => {
        await opened;
        return await Executor.start({ threads: 1 });
      },
    },
  });
  const body = JSON.stringify({ inputs: "a" });
  const leaving = new AbortController();
  const { signal } = leaving;
  const gone = Promise.resolve(server.app.request("/predict", { method: "POST", body, signal }));
  await server.post("/predict", { inputs: "a" }, 429);
  leaving.abort();
  strictEqual((await gone).status, 499);
  const staying = server.post("/predict", { inputs: "a" });
  open();
  await staying;
});
