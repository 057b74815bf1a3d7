import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { Executor, type Tensors } from "../runtime/executor.ts";
import { Graph, type TensorData } from "./graph.ts";
import { add, cast, exp, layerNormalization, mul, neg } from "./operators.ts";
import { encodeModel, hasExternalData, modelMetadata } from "./proto.ts";

const X: TensorData = { type: "float32", shape: [3], data: Float32Array.of(1, -2, 3) };

/** The outputs of a graph as lists. */
async function run(graph: Graph, feeds: Tensors): Promise<Record<string, (number | bigint)[]>> {
  await using executor = await Executor.start({ threads: 1 });
  const session = await executor.loadSession(encodeModel(graph));
  const outputs = await session.run(feeds);
  return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, [...data]]));
}

Deno.test("encodeModel() leaves out what no output needs", async () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [3]);
  const unused = graph.input("unused", "float32", [3]);
  const table = graph.initializer("table", {
    type: "float32",
    shape: [10_000],
    data: new Float32Array(10_000),
  });
  exp(add(x, unused));
  neg(table);
  graph.output("y", neg(x));
  ok(encodeModel(graph).length < 1000);
  deepStrictEqual(await run(graph, { x: X }), { y: [-1, 2, -3] });
});

Deno.test("encodeModel() gives an input as an output", async () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [3]);
  graph.output("copy", x);
  graph.output("x", x);
  deepStrictEqual(await run(graph, { x: X }), { copy: [1, -2, 3], x: [1, -2, 3] });
});

Deno.test("encodeModel() gives an initializer as an output", async () => {
  const graph = new Graph();
  const data = BigInt64Array.of(5n, -6n);
  graph.output("values", graph.initializer("stored", { type: "int64", shape: [2], data }));
  deepStrictEqual(await run(graph, {}), { values: [5n, -6n] });
});

Deno.test("encodeModel() gives one tensor under several names, and to further nodes", async () => {
  const graph = new Graph();
  const y = neg(graph.input("x", "float32", [3]));
  graph.output("first", y);
  graph.output("second", y);
  graph.output("third", y);
  graph.output("square", mul(y, y));
  deepStrictEqual(await run(graph, { x: X }), {
    first: [-1, 2, -3],
    second: [-1, 2, -3],
    third: [-1, 2, -3],
    square: [1, 4, 9],
  });
});

Deno.test("encodeModel() writes part of a larger array", async () => {
  const graph = new Graph();
  const data = Float32Array.of(8, 9, 10, 20, 30, 8).subarray(2, 5);
  const stored = graph.initializer("stored", { type: "float32", shape: [3], data });
  graph.output("sum", add(graph.input("x", "float32", [3]), stored));
  deepStrictEqual(await run(graph, { x: X }), { sum: [11, 18, 33] });
});

Deno.test("encodeModel() writes integer, float and list attributes", async () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [3]);
  graph.output("integers", cast(x, "int64"));
  const pair = graph.append("Concat", [x, x], { shape: [6], attributes: { axis: 0 } });
  const matrix = graph.append("Reshape", [pair, graph.integers([2, 3])], { shape: [2, 3] });
  graph.output(
    "transposed",
    graph.append("Transpose", [matrix], { shape: [3, 2], attributes: { perm: [1, 0] } }),
  );
  // With a variance of 38/9 and an epsilon of 34/9 the deviation counts as √8.
  const one = graph.initializer("one", { ...X, data: Float32Array.of(1, 1, 1) });
  const zero = graph.initializer("zero", { ...X, data: new Float32Array(3) });
  graph.output("normalized", layerNormalization(x, one, zero, 34 / 9));

  const { integers, transposed, normalized } = await run(graph, { x: X });
  deepStrictEqual(integers, [1n, -2n, 3n]);
  deepStrictEqual(transposed, [1, 1, -2, -2, 3, 3]);
  for (const [i, value] of [1, -2, 3].entries()) {
    const expected = (value - 2 / 3) / Math.sqrt(8);
    ok(Math.abs(Number(normalized![i]) - expected) < 1e-6, `${normalized![i]}, not ${expected}`);
  }
});

Deno.test("modelMetadata() gives what encodeModel() was told, and nothing of other bytes", () => {
  const graph = new Graph();
  graph.output("y", neg(graph.input("x", "float32", [3])));
  const metadata = { weights_sha256: "0a1b", "": "ü" };
  const model = encodeModel(graph, { metadata });
  deepStrictEqual(Object.fromEntries(modelMetadata(model)), metadata);
  deepStrictEqual(modelMetadata(encodeModel(graph)), new Map());
  for (let size = 0; size < model.length; size++) modelMetadata(model.slice(0, size));
  for (let byte = 0; byte < 256; byte++) {
    deepStrictEqual(modelMetadata(new Uint8Array(9).fill(byte)), new Map());
  }
});

Deno.test("hasExternalData() finds a tensor whose values are in another file, wherever it is", () => {
  /** A message within the fields of others, the outermost first. */
  const within = (...fields: number[]) =>
    fields.reduceRight(
      (bytes, field) =>
        new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(bytes).finish(),
      new TextEncoder().encode("location"),
    );
  for (
    const fields of [
      [7, 5, 13],
      [7, 15, 1, 13],
      [7, 15, 2, 13],
      [7, 1, 5, 5, 13],
      [7, 1, 5, 10, 13],
      [7, 1, 5, 6, 5, 13],
      [7, 1, 5, 11, 1, 5, 22, 1, 13],
      [25, 7, 5, 5, 13],
      // Deeper than the search goes.
      [7, ...Array.from({ length: 10_000 }, () => [1, 5, 6]).flat()],
    ]
  ) strictEqual(hasExternalData(within(...fields)), true, String(fields.slice(0, 10)));
  for (const fields of [[], [7, 5, 9], [7, 1, 5, 4], [14, 1]]) {
    strictEqual(hasExternalData(within(...fields)), false, String(fields));
  }
});
