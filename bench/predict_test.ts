import { deepStrictEqual, ok } from "node:assert";
import { join } from "node:path";
import { saveClassifier } from "../models/formats/classifier_folder.ts";
import { scratchClassifier } from "../models/scratch.ts";
import { Executor } from "../onnx/runtime/executor.ts";
import { benchPredict } from "./predict.ts";

Deno.test("benchPredict() times float32 and 8 bits", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const [model, data] = [join(dir, "model"), join(dir, "data")];
    const texts = ["a duet", "sour dough", "two pianos"];
    await saveClassifier(
      model,
      scratchClassifier("tiny", texts, ["x", "y"], { seed: 1, maxLength: 8 }),
    );
    await Deno.mkdir(data);
    const rows = ["text,label", ...texts.map((text) => `${text},x`)];
    for (const name of ["train", "val", "test"]) {
      await Deno.writeTextFile(join(data, `${name}_simple.csv`), rows.join("\n") + "\n");
    }
    await using executor = await Executor.start({ threads: 1 });
    const bench = await benchPredict(executor, { model, data, texts: 2 });
    deepStrictEqual([bench.device, bench.model], ["wasm", model]);
    deepStrictEqual(bench.results.map(({ engine, dtype }) => [engine, dtype]), [
      ["graft", "fp32"],
      ["graft", "q8"],
    ]);
    for (const { batch1_p50_ms, batch32_texts_per_second } of bench.results) {
      ok(batch1_p50_ms > 0 && batch32_texts_per_second > 0);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
