import { deepStrictEqual, throws } from "node:assert";
import { Executor } from "../runtime/executor.ts";
import { Graph, type TensorData } from "./graph.ts";
import { reshape, transpose } from "./operators.ts";
import { encodeModel } from "./proto.ts";
import { elementCount } from "./shape.ts";

/** The numbers 0, 1, 2, … in a shape. */
function range(shape: readonly number[]): TensorData {
  const data = Float32Array.from({ length: elementCount(shape) }, (_, i) => i);
  return { type: "float32", shape, data };
}

Deno.test("Graph.dimensions() reads symbols, their products and sums from the inputs", async () => {
  await using executor = await Executor.start({ threads: 1 });
  const graph = new Graph();
  graph.input("ids", "int64", ["batch", 7]);
  graph.input("x", "float32", [2, "length", "batch"]);
  graph.output(
    "dimensions",
    graph.dimensions(["length", 5, "batch", "batch*length", "3*batch*batch", "batch*(16+length)"]),
  );
  const session = await executor.loadSession(encodeModel(graph));
  for (const [batch, length] of [[4, 6], [1, 3]] as const) {
    const ids: TensorData = {
      type: "int64",
      shape: [batch, 7],
      data: new BigInt64Array(7 * batch),
    };
    const { dimensions } = await session.run({ ids, x: range([2, length, batch]) });
    deepStrictEqual(
      [...dimensions!.data].map(Number),
      [length, 5, batch, batch * length, 3 * batch * batch, batch * (16 + length)],
    );
  }
});

Deno.test("one graph serves every batch size and length", async () => {
  await using executor = await Executor.start({ threads: 1 });
  const graph = new Graph();
  const x = graph.input("x", "float32", ["batch", "length", 4]);
  const heads = reshape(x, ["batch", "length", 2, 2]);
  const swapped = transpose(heads, [0, 2, 1, 3]);
  graph.output("swapped", swapped);
  graph.output("rows", reshape(x, ["batch*length", 4]));
  graph.output("back", reshape(reshape(swapped, ["4*batch*length"]), ["batch", 2, "length", 2]));
  const session = await executor.loadSession(encodeModel(graph));

  for (const [batch, length] of [[2, 3], [1, 1], [3, 5]] as const) {
    const input = range([batch, length, 4]);
    const { swapped, rows, back } = await session.run({ x: input });
    deepStrictEqual([...swapped!.shape], [batch, 2, length, 2]);
    const expected = [];
    for (let b = 0; b < batch; b++) {
      for (let head = 0; head < 2; head++) {
        for (let l = 0; l < length; l++) {
          for (let i = 0; i < 2; i++) expected.push(((b * length + l) * 2 + head) * 2 + i);
        }
      }
    }
    deepStrictEqual([...swapped!.data], expected);
    deepStrictEqual([...rows!.shape], [batch * length, 4]);
    deepStrictEqual([...rows!.data], [...input.data]);
    deepStrictEqual([...back!.shape], [batch, 2, length, 2]);
    deepStrictEqual([...back!.data], expected);
  }
});

Deno.test("Graph.dimensions() refuses a symbol that no input has", () => {
  const graph = new Graph();
  graph.input("x", "float32", ["batch"]);
  throws(() => graph.dimensions(["batch", "length"]), {
    name: "RangeError",
    message: "Cannot resolve dimension 'length': no graph input has it",
  });
});

Deno.test("Graph.output() refuses a name that is taken", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", [2]);
  graph.output("y", x);
  throws(() => graph.output("y", x), {
    name: "RangeError",
    message: "Cannot add output 'y' to the graph: it exists already",
  });
});

Deno.test("Graph.initializer() refuses values that do not fit the shape", () => {
  const data = new Float32Array(5);
  throws(() => new Graph().initializer("w", { type: "float32", shape: [2, 3], data }), {
    name: "RangeError",
    message: "Cannot store 'w': shape [2, 3] does not hold 5 values",
  });
});
