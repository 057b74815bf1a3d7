import { deepStrictEqual, ok } from "node:assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Executor } from "../../onnx/runtime/executor.ts";
import { baseOf, readAdapter, saveAdapter } from "../formats/adapter.ts";
import { Tokenizer } from "../text/tokenizer.ts";
import { readConfig, withLabels } from "../family.ts";
import { MixedClassifier } from "./mixed_classifier.ts";
import { TextClassifier } from "./text_classifier.ts";
import type { Dtype } from "../onnx_model.ts";

const PEFT = fileURLToPath(new URL("../../tests/peft", import.meta.url));
const BASE = join(PEFT, "base");
const TEXTS = ["a bread", "a song for two", "news of today"];

/** One model and two adapters of other classes, on texts. */
async function classifyMixed(dtype: Dtype, tolerance: number): Promise<void> {
  await using executor = await Executor.start({ threads: 1 });
  const parent = await Deno.makeTempDir();
  try {
    // A copy, as models are quantised into their folders.
    const base = join(parent, "base");
    await Deno.mkdir(base);
    for await (const { name } of Deno.readDir(BASE)) {
      await Deno.copyFile(join(BASE, name), join(base, name));
    }
    const dirs = [base];
    for (const name of ["prefix", "prompt"]) {
      const { peft, weights } = await readAdapter(join(PEFT, name));
      const dir = join(parent, name);
      dirs.push(dir);
      await saveAdapter(dir, {
        base: await baseOf(base),
        peft,
        weights,
        tokenizer: await Tokenizer.load(base),
        config: {
          ...withLabels(await readConfig(base), [`${name} 1`, `${name} 2`, `${name} 3`]),
          problem_type: name === "prefix" ? "multi_label_classification" : null,
        },
        maxLength: 8,
      });
    }
    const texts = dirs.flatMap((model) => TEXTS.map((text) => ({ model, text })));
    const mixed = await MixedClassifier.load(executor, texts.map(({ model }) => model), dtype);
    const results = await mixed.classify(texts.toReversed());
    for (const dir of dirs) {
      const alone = await TextClassifier.load(executor, dir);
      deepStrictEqual(mixed.problemType(dir), alone.problemType);
      for (const expected of await alone.classify(TEXTS)) {
        const scores = new Map(results.pop()!.map(({ label, score }) => [label, score]));
        deepStrictEqual(scores.size, expected.length);
        for (const { label, score } of expected) {
          const difference = Math.abs(scores.get(label)! - score);
          ok(difference < tolerance, `${label} differs by ${difference}`);
        }
      }
    }
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
}

Deno.test("MixedClassifier gives each text what its model gives it alone", async () => {
  await classifyMixed("fp32", 1e-5);
});

Deno.test("MixedClassifier takes adapters on a base of 8 bits", async () => {
  await classifyMixed("q8", 0.1);
});
