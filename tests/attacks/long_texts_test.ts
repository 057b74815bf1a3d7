/**
 * Long texts of every kind: cut in the Worker, they get the same answers as in the main thread.
 *
 * @module
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { join } from "node:path";
import { Explainer, type Explanation } from "../../models/inference/explanation.ts";
import { TextClassifier } from "../../models/inference/text_classifier.ts";
import { Executor } from "../../onnx/runtime/executor.ts";
import { LongTexts } from "../../serving/long_texts.ts";
import { LocalServer } from "../support/local_server.ts";

const LENGTH = 20_000;
const PARTS = [
  "a duet ",
  "!?.",
  "a",
  "\u{1F600}",
  "e\u0301",
  "\n\t ",
  "# a",
  "\u5000",
  "a\u0300\u0301",
];

Deno.test("long texts get the scores that they get alone", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 } });
  const texts = PARTS.map((part) => `bread ${part.repeat(LENGTH / part.length)}`);
  await server.post("/v1/predict", { inputs: ["a duet"] });
  const answers = [];
  for (let i = 0; i < texts.length; i++) {
    answers.push(
      await server.post<{ predictions: { label: string; score: number }[][] }>("/v1/predict", {
        inputs: [texts[i]],
        truncate: true,
      }),
    );
  }
  await using executor = await Executor.start({ threads: 1 });
  const alone = await TextClassifier.load(executor, join(server.runsDir, "titles"));
  for (const [i, { predictions }] of answers.entries()) {
    deepStrictEqual(predictions, await alone.classify([texts[i]!]), `${PARTS[i]}`);
  }
});

Deno.test("long texts are explained as they are alone", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 } });
  const text = PARTS.map((part) => `a ${part.repeat(20)}`).join(" ").repeat(2);
  const { label, words } = await server.post<Explanation>("/v1/explain", { text });
  await using executor = await Executor.start({ threads: 1 });
  const explainer = await Explainer.load(executor, join(server.runsDir, "titles"));
  const alone = await explainer.explain(text);
  deepStrictEqual([label, words.length], [alone.label, alone.words.length]);
  ok(words.every(({ word }, i) => word === alone.words[i]!.word));
  ok(words.every(({ share }, i) => Math.abs(share - alone.words[i]!.share) < 1e-5));
});

Deno.test("LongTexts gives up a text that takes too long, and goes on with others", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 } });
  const version = await server.models.resolve("titles");
  using texts = new LongTexts(1);
  const outcome = await texts.encode(version, 32, "a duet ".repeat(2_000_000)).catch((error) =>
    error
  );
  strictEqual(outcome.name, "SlowTextError");
  using patient = new LongTexts();
  const [row] = await patient.encode(version, 32, "a duet for two pianos");
  ok(row!.ids.length > 2);
});

Deno.test("LongTexts goes on after garbage was collected", async () => {
  await using server = await LocalServer.start({ seeds: { titles: 1 } });
  const version = await server.models.resolve("titles");
  using texts = new LongTexts();
  const before = await texts.encode(version, 32, "a duet");
  await collectGarbage();
  const { promise: late, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(resolve, 20_000, "no answer");
  const after = await Promise.race([texts.encode(version, 32, "a duet"), late]);
  clearTimeout(timer);
  deepStrictEqual(after, before);
});

/** Waits until an object that nothing refers to is gone, and time for what follows from that. */
async function collectGarbage(): Promise<void> {
  let isCollected = false;
  const registry = new FinalizationRegistry(() => isCollected = true);
  registry.register({}, undefined);
  while (!isCollected) {
    new Uint8Array(50_000_000).fill(1);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
}
