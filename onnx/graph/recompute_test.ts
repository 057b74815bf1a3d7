import { deepStrictEqual, ok } from "node:assert";
import { operatorsOf } from "../../tests/support/devices.ts";
import { Executor } from "../runtime/executor.ts";
import { outputGradients } from "./gradient.ts";
import { Graph, type Tensor, type TensorData } from "./graph.ts";
import { peakBytes, tensorLifetimes } from "./memory.ts";
import { exp, matMul, mul, neg, reduceSum, tanh } from "./operators.ts";
import { encodeModel } from "./proto.ts";

const LAYERS = 6;
const SIZE = 4;

/** Layers that keep much for their gradients. */
function layers(checkpointing: boolean): Graph {
  const graph = new Graph();
  const weight = graph.input("weight", "float32", [SIZE, SIZE]);
  let x = graph.input("x", "float32", ["rows", SIZE]);
  const checkpoints = new Set<Tensor>();
  for (let layer = 0; layer < LAYERS; layer++) {
    checkpoints.add(x);
    x = tanh(matMul(exp(neg(exp(tanh(x)))), weight));
  }
  const loss = reduceSum(mul(x, x), [0, 1]);
  graph.output("loss", loss);
  outputGradients(graph, loss, [weight], checkpointing ? checkpoints : undefined);
  return graph;
}

const FEEDS: Record<string, TensorData> = {
  weight: {
    type: "float32",
    shape: [SIZE, SIZE],
    data: Float32Array.from({ length: SIZE ** 2 }, (_, i) => Math.sin(i)),
  },
  x: {
    type: "float32",
    shape: [3, SIZE],
    data: Float32Array.from({ length: 3 * SIZE }, (_, i) => Math.cos(i)),
  },
};

Deno.test("recompute() changes no gradient", async () => {
  await using executor = await Executor.start({ threads: 1 });
  const [kept, made] = await Promise.all([false, true].map(async (checkpointing) => {
    const model = encodeModel(layers(checkpointing), { backwards: true });
    return await (await executor.loadSession(model)).run(FEEDS);
  }));
  deepStrictEqual(made, kept);
});

Deno.test("recompute() keeps less", () => {
  const bytes = (checkpointing: boolean) =>
    peakBytes(tensorLifetimes(layers(checkpointing)), { rows: 1000 });
  ok(bytes(true) < 0.6 * bytes(false), `${bytes(true)} of ${bytes(false)}`);
});

Deno.test("recompute() makes each tensor again once, in nodes unlike the first", () => {
  const count = (checkpointing: boolean) =>
    operatorsOf(encodeModel(layers(checkpointing))).filter((name) => name === "Tanh").length;
  // The outer one of each layer but the last is kept, as the input of the next layer.
  deepStrictEqual([count(false), count(true)], [2 * LAYERS, 3 * LAYERS + 1]);
});
