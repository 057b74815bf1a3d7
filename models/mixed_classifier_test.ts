import { deepStrictEqual, ok } from "node:assert";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Executor } from "../onnx/executor.ts";
import { baseOf, readAdapter, saveAdapter } from "./adapter.ts";
import { readConfig, withLabels } from "./config.ts";
import { MixedClassifier } from "./mixed_classifier.ts";
import { TextClassifier } from "./text_classifier.ts";

const PEFT = fileURLToPath(new URL("../tests/peft", import.meta.url));
const BASE = join(PEFT, "base");
const TEXTS = ["a bread", "a song for two", "news of today"];

Deno.test("MixedClassifier gives each text what its model gives it alone", async () => {
  await using executor = await Executor.start({ threads: 1 });
  const parent = await Deno.makeTempDir();
  try {
    const dirs = [BASE];
    for (const name of ["prefix", "prompt"]) {
      const { encoder, weights } = await readAdapter(join(PEFT, name));
      const dir = join(parent, name);
      dirs.push(dir);
      await saveAdapter(dir, {
        base: await baseOf(BASE),
        encoder,
        weights,
        config: {
          ...withLabels(await readConfig(BASE), [`${name} 1`, `${name} 2`, `${name} 3`]),
          problem_type: name === "prefix" ? "multi_label_classification" : null,
        },
        maxLength: 8,
      });
    }
    const texts = dirs.flatMap((model) => TEXTS.map((text) => ({ model, text })));
    const mixed = await MixedClassifier.load(executor, texts.map(({ model }) => model));
    const results = await mixed.classify(texts.toReversed());
    for (const dir of dirs) {
      const alone = await TextClassifier.load(executor, dir);
      deepStrictEqual(mixed.problemType(dir), alone.problemType);
      for (const expected of await alone.classify(TEXTS)) {
        const actual = results.pop()!;
        deepStrictEqual(actual.map(({ label }) => label), expected.map(({ label }) => label));
        for (const [i, { score }] of actual.entries()) {
          ok(Math.abs(score - expected[i]!.score) < 1e-5, `${score}, not ${expected[i]!.score}`);
        }
      }
    }
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
});
