/**
 * Writes what a base's last layer gives for texts into a file of safetensors: `ids/0`, `[length]`, and
 * `states/0`, `[length, hidden]`, for the first text, and so on. `hidden_states.py` compares these with
 * transformers'.
 *
 *     deno run --allow-read --allow-write tests/hidden_states.ts MODEL TEXTS.json OUT.safetensors
 *
 * @module
 */
import { collate } from "../data/batches.ts";
import { familyOf, readConfig } from "../models/family.ts";
import { readBaseWeights } from "../models/formats/adapter.ts";
import { encodeSafetensors, type StoredTensor } from "../models/formats/safetensors.ts";
import { Tokenizer } from "../models/text/tokenizer.ts";
import { Graph } from "../onnx/graph/graph.ts";
import { encodeModel } from "../onnx/graph/proto.ts";
import { Executor } from "../onnx/runtime/executor.ts";

const [model, textsFile, out] = Deno.args as [string, string, string];
const texts: string[] = JSON.parse(await Deno.readTextFile(textsFile));
const config = await readConfig(model);
const weights = await readBaseWeights(model, config);
const tokenizer = await Tokenizer.load(model, config.vocab_size);

const graph = new Graph();
const states = familyOf(config).encoder(graph, {
  config,
  parameter: (name, shape) =>
    graph.initializer(name, { type: "float32", shape, data: weights[name]! }),
}, "all");
graph.output("states", states);

await using executor = await Executor.start({ device: "wasm" });
const session = await executor.loadSession(encodeModel(graph));
const tensors = new Map<string, StoredTensor>();
for (const [i, text] of texts.entries()) {
  const ids = [...tokenizer.encode(text).ids];
  const { states } = await session.run(collate([ids], config.pad_token_id));
  const { shape, data } = states!;
  tensors.set(`ids/${i}`, { shape: [ids.length], data: Int32Array.from(ids) });
  tensors.set(`states/${i}`, { shape: [...shape], data: data as Float32Array });
}
await session.release();
await Deno.writeFile(out, encodeSafetensors({ tensors, metadata: {} }));
