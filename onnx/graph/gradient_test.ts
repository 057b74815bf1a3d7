import { deepStrictEqual, ok, throws } from "node:assert";
import { Executor, type Tensors } from "../runtime/executor.ts";
import { gradient } from "./gradient.ts";
import { Graph, type Tensor, type TensorData } from "./graph.ts";
import { add, gather, gemm, mul, reduceSum } from "./operators.ts";
import { encodeModel } from "./proto.ts";
import { Random } from "../../lib/random.ts";
import { operatorsOf } from "../../tests/support/devices.ts";

/** How many nodes of a model have an operator. */
function count(model: Uint8Array, operator: string): number {
  return operatorsOf(model).filter((other) => other === operator).length;
}

function randomMatrix(rows: number, seed: number): TensorData & { data: Float32Array } {
  const random = new Random(seed);
  const data = Float32Array.from({ length: 4 * rows }, () => random.normal());
  return { type: "float32", shape: [rows, 4], data };
}

/** The sum of each row of a matrix, `[4, 4]`: the gradient of the sum of `x * matrix` for a row of `x`. */
function rowSums({ data }: { data: Float32Array }): number[] {
  return [0, 1, 2, 3].map((row) => data.subarray(4 * row, 4 * row + 4).reduce((a, b) => a + b));
}

async function run(model: Uint8Array, feeds: Tensors): Promise<Tensors> {
  await using executor = await Executor.start({ threads: 1 });
  return await (await executor.loadSession(model)).run(feeds);
}

function allClose(actual: TensorData, expected: (i: number) => number): void {
  for (const [i, value] of Array.from(actual.data, Number).entries()) {
    ok(Math.abs(value - expected(i)) < 1e-5, `${value}, not ${expected(i)}`);
  }
}

Deno.test("gradient() costs nothing for a frozen parameter", () => {
  const products = (trainFirst: boolean) => {
    const graph = new Graph();
    const x = graph.input("x", "float32", ["batch", 4]);
    const first = graph.input("first", "float32", [4, 4]);
    const second = graph.input("second", "float32", [4, 4]);
    const loss = reduceSum(gemm(gemm(x, first), second), [0, 1]);
    graph.output("loss", loss);
    const wanted = trainFirst ? [first, second] : [second];
    for (const [i, found] of gradient(loss, wanted).entries()) {
      if ("name" in found) graph.output(`g${i}`, found);
    }
    return count(encodeModel(graph), "Gemm");
  };
  // Two products forward; two more for the second weight and the way to the first; one for its own.
  deepStrictEqual([products(false), products(true)], [3, 5]);
});

Deno.test("gradient() adds up what comes by several products within them", async () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", ["batch", 4]);
  const weights = {
    first: randomMatrix(4, 1),
    second: randomMatrix(4, 2),
    third: randomMatrix(4, 3),
  };
  const [a, b, c] = Object.keys(weights).map((name) =>
    gemm(x, graph.input(name, "float32", [4, 4]))
  ) as [Tensor, Tensor, Tensor];
  const loss = reduceSum(add(add(a, b), c), [0, 1]);
  graph.output("g", gradient(loss, [x])[0] as Tensor);
  const model = encodeModel(graph);
  deepStrictEqual([count(model, "Gemm"), count(model, "Add")], [3, 0]);

  const { g } = await run(model, { x: randomMatrix(2, 4), ...weights });
  const sums = Object.values(weights).map(rowSums);
  allClose(g!, (i) => sums.reduce((sum, rows) => sum + rows[i % 4]!, 0));
});

Deno.test("gradient() computes a product once that two tensors have in common", async () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", ["batch", 4]);
  const y = graph.input("y", "float32", ["batch", 4]);
  const weight = graph.input("weight", "float32", [4, 4]);
  const product = gemm(add(x, y), weight);
  const loss = reduceSum(add(product, mul(x, x)), [0, 1]);
  for (const [i, found] of gradient(loss, [x, y]).entries()) graph.output(`g${i}`, found as Tensor);
  const model = encodeModel(graph);
  deepStrictEqual(count(model, "Gemm"), 1);

  const feeds = { x: randomMatrix(2, 1), y: randomMatrix(2, 2), weight: randomMatrix(4, 3) };
  const { g0, g1 } = await run(model, feeds);
  const sums = rowSums(feeds.weight);
  allClose(g0!, (i) => sums[i % 4]! + 2 * feeds.x.data[i]!);
  allClose(g1!, (i) => sums[i % 4]!);
});

Deno.test("gradient() keeps to the rows that were gathered", () => {
  const graph = new Graph();
  const table = graph.input("table", "float32", [100, 4]);
  const indices = graph.input("indices", "int64", ["batch"]);
  const [found] = gradient(reduceSum(gather(table, indices), [0, 1]), [table]);
  deepStrictEqual("indices" in found! && found.values.shape, ["batch", 4]);
});

Deno.test("gradient() makes a whole gradient of a table that is used otherwise, too", () => {
  const graph = new Graph();
  const table = graph.input("table", "float32", [10, 4]);
  const indices = graph.input("indices", "int64", ["batch"]);
  const gathered = reduceSum(gather(table, indices), [0, 1]);
  const [found] = gradient(add(gathered, reduceSum(mul(table, table), [0, 1])), [table]);
  deepStrictEqual("name" in found! && found.shape, [10, 4]);
});

Deno.test("gradient() refuses what it cannot differentiate", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [2]);
  const unused = graph.input("unused", "float32", [2]);
  throws(() => gradient(x, [x]), /Cannot differentiate \[2\]: not a scalar/);
  throws(() => gradient(reduceSum(x, [0]), [unused]), /with respect to 'unused': unused/);
});
