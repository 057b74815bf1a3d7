import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert";
import { Executor } from "../../onnx/runtime/executor.ts";
import { relativeError } from "../../tests/support/relative_error.ts";
import { writeModel } from "../../tests/support/local_server.ts";
import { BertConfig } from "../families/bert.ts";
import { decodeSafetensors } from "../formats/safetensors.ts";
import { Explainer, explanationModel } from "./explanation.ts";

const GOLDEN = new URL("../../tests/golden/", import.meta.url);

Deno.test("explanationModel() gives PyTorch's gradient times input", async () => {
  const read = async (file: string) => JSON.parse(await Deno.readTextFile(new URL(file, GOLDEN)));
  const { label, contributions } = await read("explanation.json");
  const { config: json } = await read("full.json");
  const config = BertConfig.parse(json);
  const { tensors } = decodeSafetensors(
    await Deno.readFile(new URL("full.safetensors", GOLDEN)),
    "full",
  );
  const weights = Object.fromEntries(
    [...tensors].filter(([name]) => name.startsWith("initial/"))
      .map(([name, { data }]) => [name.slice("initial/".length), data as Float32Array]),
  );
  const integers = (name: string) => ({
    type: "int64" as const,
    shape: tensors.get(name)!.shape,
    data: BigInt64Array.from(tensors.get(name)!.data as Int32Array, BigInt),
  });
  const executor = await Executor.start({ device: "wasm", threads: 1 });
  try {
    const session = await executor.loadSession(explanationModel(config, weights));
    const chosen = new Float32Array(5 * 6);
    for (let row = 0; row < 5; row++) chosen[row * 6 + label] = 1;
    const result = await session.run({
      input_ids: integers("input_ids"),
      attention_mask: integers("attention_mask"),
      token_type_ids: integers("token_type_ids"),
      chosen: { type: "float32", shape: [5, 6], data: chosen },
    });
    const found = result["contributions"]!.data as Float32Array;
    ok(relativeError(found, contributions.flat()) < 1e-5);
  } finally {
    await executor.close();
  }
});

Deno.test("Explainer.explain() gives each word a share, and special tokens none", async () => {
  const dir = await Deno.makeTempDir();
  const executor = await Executor.start({ device: "wasm", threads: 1 });
  try {
    await writeModel(dir, 1);
    const explainer = await Explainer.load(executor, dir);
    const text = "bread, from  sour dough";
    const { label, words, truncated } = await explainer.explain(text);
    strictEqual(truncated, false);
    ok(explainer.labels.includes(label));
    deepStrictEqual(words.map(({ word }) => word), ["bread", ",", "from", "sour", "dough"]);
    for (const { word, start } of words) strictEqual(text.slice(start).indexOf(word), 0);
    ok(Math.abs(words.reduce((sum, { share }) => sum + Math.abs(share), 0) - 1) < 1e-6);
    const other = explainer.labels.find((it) => it !== label)!;
    strictEqual((await explainer.explain(text, other)).label, other);
    await rejects(explainer.explain(text, "nothing"), RangeError);
    // The part that is cut off adds nothing.
    const long = await explainer.explain("piano ".repeat(100));
    strictEqual(long.words.length, 100);
    strictEqual(long.words.at(-1)!.share, 0);
    strictEqual(long.truncated, true);
  } finally {
    await executor.close();
    await Deno.remove(dir, { recursive: true });
  }
});
