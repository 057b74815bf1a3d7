import { deepStrictEqual, ok, throws } from "node:assert";
import type { Executor } from "../runtime/executor.ts";
import { Graph, type Tensor, type TensorData } from "./graph.ts";
import { add, gather, gemm } from "./operators.ts";
import { encodeModel } from "./proto.ts";
import { quantizeWeights } from "./quantize.ts";
import { Random } from "../../lib/random.ts";
import { testOnDevices } from "../../tests/support/devices.ts";

const [ROWS, INNER, COLUMNS] = [5, 48, 24];

function randomValues(shape: number[], seed: number): TensorData & { data: Float32Array } {
  const random = new Random(seed);
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.normal());
  return { type: "float32", shape, data };
}

/** `x [rows, inner]` times a constant weight. */
function product(weight: TensorData, quantized: boolean): Uint8Array {
  const graph = new Graph();
  const x = graph.input("x", "float32", ["rows", INNER]);
  const bias = graph.initializer("bias", randomValues([COLUMNS], 2));
  const y = gemm(x, graph.initializer("weight", weight), bias, { transposeB: true });
  graph.output("y", y);
  if (quantized) quantizeWeights(graph, (name) => name === "weight");
  return encodeModel(graph);
}

/** The rows of a constant table. */
function rowsOf(table: TensorData, quantized: boolean): Uint8Array {
  const graph = new Graph();
  const indices = graph.input("indices", "int64", ["count"]);
  graph.output("y", gather(graph.initializer("table", table), indices));
  if (quantized) quantizeWeights(graph, () => true);
  return encodeModel(graph);
}

async function run(executor: Executor, model: Uint8Array, feeds: Record<string, TensorData>) {
  const session = await executor.loadSession(model);
  const { y } = await session.run(feeds);
  await session.release();
  return y!.data as Float32Array;
}

function range(values: Float32Array): number {
  return Math.max(...values, 0) - Math.min(...values, 0);
}

testOnDevices("quantizeWeights() keeps products within what rounding allows", async (executor) => {
  const weight = randomValues([COLUMNS, INNER], 1);
  // One column is large: it has a scale of its own, and the others keep theirs.
  weight.data.subarray(0, INNER).forEach((value, i, column) => column[i] = 100 * value);
  weight.data.fill(0, INNER, 2 * INNER);
  const x = randomValues([ROWS, INNER], 3);
  const exact = await run(executor, product(weight, false), { x });
  const quantized = await run(executor, product(weight, true), { x });
  const inputStep = range(x.data) / 255;
  for (const [i, value] of quantized.entries()) {
    const [row, column] = [Math.floor(i / COLUMNS), i % COLUMNS];
    const weights = weight.data.subarray(column * INNER, (column + 1) * INNER);
    const inputs = x.data.subarray(row * INNER, (row + 1) * INNER);
    const weightStep = Math.max(...weights.map(Math.abs)) / 63;
    // Each factor is off by half a step, and the zero of the inputs by another half.
    const bound = weights.reduce(
      (sum, weight, k) =>
        sum + Math.abs(weight) * inputStep + (Math.abs(inputs[k]!) + inputStep) * weightStep / 2,
      0,
    );
    ok(Math.abs(value - exact[i]!) <= bound + 1e-4, `${value} is not near ${exact[i]}`);
  }
  ok(quantized.some((value, i) => Math.abs(value - exact[i]!) > 1e-4));
});

testOnDevices("quantizeWeights() keeps rows of tables to half a step", async (executor) => {
  const table = randomValues([7, 160], 4);
  // Rows of any size keep their own scale.
  for (let row = 0; row < 7; row++) {
    for (let i = 0; i < 160; i++) table.data[row * 160 + i]! *= 10 ** row;
  }
  const indices: TensorData = { type: "int64", shape: [3], data: BigInt64Array.of(6n, 0n, 3n) };
  const exact = await run(executor, rowsOf(table, false), { indices });
  const quantized = await run(executor, rowsOf(table, true), { indices });
  for (let row = 0; row < 3; row++) {
    const values = exact.subarray(row * 160, (row + 1) * 160);
    const step = Math.max(...values.map(Math.abs)) / 127;
    for (const [i, value] of values.entries()) {
      const difference = Math.abs(quantized[row * 160 + i]! - value);
      ok(difference <= 0.501 * step, `${difference} is more than half of ${step}`);
    }
  }
});

Deno.test("quantizeWeights() makes a model a quarter of its size, and leaves others alone", () => {
  const table = randomValues([1000, 128], 5);
  const ratio = rowsOf(table, true).length / rowsOf(table, false).length;
  ok(ratio > 0.25 && ratio < 0.27, `${ratio}`);

  const graph = new Graph();
  const table2 = graph.initializer("table", table);
  graph.output("y", gather(table2, graph.input("indices", "int64", ["count"])));
  const before = encodeModel(graph);
  quantizeWeights(graph, (name) => name === "another");
  deepStrictEqual(encodeModel(graph), before);
});

testOnDevices(
  "quantizeWeights() stores a weight once that several nodes read",
  async (executor) => {
    const model = (reads: number, quantized: boolean) => {
      const graph = new Graph();
      const indices = graph.input("indices", "int64", ["count"]);
      const weight = graph.initializer("weight", randomValues([500, 64], 1));
      let sum: Tensor = graph.scalar(0);
      for (let i = 0; i < reads; i++) {
        const rows = gather(weight, indices);
        sum = add(sum, gemm(rows, weight, undefined, { transposeB: true }));
      }
      graph.output("y", sum);
      if (quantized) quantizeWeights(graph, () => true);
      return encodeModel(graph);
    };
    // For its rows and for its columns.
    ok(model(2, true).length < 0.55 * model(2, false).length);
    const feeds = {
      indices: { type: "int64", shape: [2], data: BigInt64Array.of(3n, 9n) },
    } as const;
    const [once, twice] = [
      await run(executor, model(1, true), feeds),
      await run(executor, model(2, true), feeds),
    ];
    for (const [i, value] of once.entries()) {
      ok(
        Math.abs(twice[i]! - 2 * value) <= 1e-5 * Math.abs(value),
        `${twice[i]}, not 2 * ${value}`,
      );
    }
  },
);

Deno.test("quantizeWeights() refuses a product that is scaled", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", ["rows", INNER]);
  const weight = graph.initializer("weight", randomValues([COLUMNS, INNER], 1));
  gemm(x, weight, undefined, { transposeB: true, alpha: 0.5 });
  throws(() => quantizeWeights(graph, () => true), {
    name: "RangeError",
    message: "Cannot quantise 'weight': its product must not be scaled, and is by 0.5",
  });
});

Deno.test("quantizeWeights() refuses a weight that is not transposed", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", ["rows", INNER]);
  gemm(x, graph.initializer("weight", randomValues([INNER, COLUMNS], 1)));
  throws(() => quantizeWeights(graph, () => true), {
    message: "Cannot quantise 'weight': it must be the transposed right operand",
  });
});
