/**
 * The loss of masked tokens and its gradients against values that transformers' `BertForMaskedLM`
 * computed, and against central differences; `masked_language_model/make.py` made the values.
 *
 * @module
 */
import { deepStrictEqual, ok } from "node:assert";
import { BertConfig } from "../models/families/bert.ts";
import { decodeSafetensors } from "../models/formats/safetensors.ts";
import type { Weights } from "../models/weights.ts";
import { Executor, type Tensors } from "../onnx/runtime/executor.ts";
import { Random } from "../lib/random.ts";
import { testOnDevices } from "./support/devices.ts";
import { pretrainingGraphs } from "../training/pretraining/graphs.ts";
import { relativeError } from "./support/relative_error.ts";

const CONFIG = BertConfig.parse({
  model_type: "bert",
  vocab_size: 40,
  hidden_size: 16,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 32,
  max_position_embeddings: 12,
  hidden_dropout_prob: 0,
  attention_probs_dropout_prob: 0,
});
const TOLERANCE = 1e-5;
/** Of a teacher's embeddings. */
const SIZE = 6;

const FIXTURE = new URL(
  "./masked_language_model/masked_language_model.safetensors",
  import.meta.url,
);
const { tensors } = decodeSafetensors(await Deno.readFile(FIXTURE), "the fixture");

function group(prefix: string): Weights {
  return Object.fromEntries(
    [...tensors].filter(([name]) => name.startsWith(prefix))
      .map(([name, { data }]) => [name.slice(prefix.length), data as Float32Array]),
  );
}

function batch(): Tensors {
  const integers = (name: string): Tensors[string] => {
    const { shape, data } = tensors.get(name)!;
    return { type: "int64", shape, data: BigInt64Array.from(data as Int32Array, BigInt) };
  };
  const masked = tensors.get("masked_positions")!.data.length;
  return {
    input_ids: integers("input_ids"),
    attention_mask: integers("attention_mask"),
    token_type_ids: integers("token_type_ids"),
    masked_positions: integers("masked_positions"),
    masked_labels: integers("masked_labels"),
    masked_weights: {
      type: "float32",
      shape: [masked],
      data: new Float32Array(masked).fill(1 / masked),
    },
  };
}

/** Inputs of a graph by parameter name. */
function feeds(weights: Weights, shapes: readonly { name: string; shape: readonly number[] }[]) {
  return Object.fromEntries(shapes.map(({ name, shape }) => [name, {
    type: "float32" as const,
    shape,
    data: weights[name]!,
  }]));
}

testOnDevices("the masked-language loss and its gradients are PyTorch's", async (executor) => {
  const graphs = pretrainingGraphs(CONFIG);
  const weights = group("initial/");
  const session = await executor.loadSession(graphs.training);
  const outputs = await session.run({ ...batch(), ...feeds(weights, graphs.parameters) });

  const [loss] = tensors.get("loss")!.data as Float32Array;
  ok(Math.abs(Number(outputs["loss"]!.data[0]) - loss!) < TOLERANCE * loss!);
  const expected = group("grad/");
  for (const { parameter, output, indices } of graphs.gradients) {
    // Softmax ignores a shift of the keys.
    if (parameter.endsWith("key.bias")) continue;
    ok(indices === undefined || !parameter.includes("word_embeddings"));
    const values = outputs[output]!.data as Float32Array;
    const whole = indices === undefined
      ? values
      : scattered(values, outputs[indices]!.data as BigInt64Array, expected[parameter]!.length);
    deepStrictEqual(whole.length, expected[parameter]!.length, parameter);
    const error = relativeError(whole, expected[parameter]!);
    ok(error < TOLERANCE, `${parameter} differs by ${error}`);
  }
  await session.release();
});

function scattered(values: Float32Array, rows: BigInt64Array, length: number): Float32Array {
  const whole = new Float32Array(length);
  const width = values.length / rows.length;
  values.forEach((value, i) =>
    whole[Number(rows[Math.floor(i / width)]) * width + i % width]! += value
  );
  return whole;
}

testOnDevices("evaluation gives the losses of the masked tokens", async (executor) => {
  const graphs = pretrainingGraphs(CONFIG);
  const session = await executor.loadSession(graphs.inference);
  const { losses } = await session.run({
    ...batch(),
    ...feeds(group("initial/"), graphs.parameters),
  });
  const values = losses!.data as Float32Array;
  const [loss] = tensors.get("loss")!.data as Float32Array;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  ok(Math.abs(mean - loss!) < TOLERANCE * loss!);
});

Deno.test("gradients of both losses are the central differences", async () => {
  await using executor = await Executor.start();
  const graphs = pretrainingGraphs(CONFIG, { size: SIZE, weight: 3 });
  const random = new Random(5);
  const weights = group("initial/");
  for (const { name, shape } of graphs.parameters) {
    weights[name] ??= Float32Array.from(
      { length: shape.reduce((a, b) => a * b) },
      () => random.normal() / 4,
    );
  }
  const texts = batch().input_ids!.shape[0]!;
  const teacher = {
    teacher_embeddings: {
      type: "float32" as const,
      shape: [texts, SIZE],
      data: Float32Array.from({ length: texts * SIZE }, () => random.normal() / SIZE),
    },
    text_weights: {
      type: "float32" as const,
      shape: [texts],
      data: new Float32Array(texts).fill(1 / texts),
    },
  };
  const session = await executor.loadSession(graphs.training);
  const run = () => session.run({ ...batch(), ...teacher, ...feeds(weights, graphs.parameters) });
  const outputs = await run();
  const lossAt = async (name: string, values: Float32Array) => {
    const before = weights[name]!;
    weights[name] = values;
    const { loss } = await run();
    weights[name] = before;
    return Number(loss!.data[0]);
  };

  for (const { parameter, output, indices } of graphs.gradients) {
    if (parameter.endsWith("key.bias")) continue;
    const present = weights[parameter]!;
    const gradient = indices === undefined ? outputs[output]!.data as Float32Array : scattered(
      outputs[output]!.data as Float32Array,
      outputs[indices]!.data as BigInt64Array,
      present.length,
    );
    // Along a random direction, as an entry that is wrongly zero does not show along the gradient.
    const direction = Float32Array.from(present, () => random.normal());
    const expected = gradient.reduce((sum, value, i) => sum + value * direction[i]!, 0);
    const step = 4e-3;
    const moved = (by: number) => present.map((value, i) => value + by * direction[i]!);
    const difference = await lossAt(parameter, moved(step)) - await lossAt(parameter, moved(-step));
    const slope = difference / (2 * step);
    ok(
      Math.abs(slope - expected) < 0.01 * Math.abs(expected),
      `${parameter}: ${slope} by differences, ${expected} by its gradient`,
    );
  }
});
