import { deepStrictEqual, throws } from "node:assert";
import { gradient } from "./gradient.ts";
import { Graph, type Tensor } from "./graph.ts";
import { add, gather, gemm, mul, reduceSum } from "./operators.ts";
import { encodeModel } from "./proto.ts";

Deno.test("gradient() costs nothing for a frozen parameter", () => {
  const build = (trainFirst: boolean) => {
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
    return new TextDecoder("latin1").decode(encodeModel(graph)).split("Gemm").length - 1;
  };
  // Two products forward; two more for the second weight and the way to the first; one for its own.
  deepStrictEqual([build(false), build(true)], [3, 5]);
});

Deno.test("gradient() adds up what comes by several products within them", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", ["batch", 4]);
  const weights = ["first", "second", "third"].map((name) => graph.input(name, "float32", [4, 4]));
  const [a, b, c] = weights.map((weight) => gemm(x, weight)) as [Tensor, Tensor, Tensor];
  const loss = reduceSum(add(add(a, b), c), [0, 1]);
  graph.output("g", gradient(loss, [x])[0] as Tensor);
  const model = new TextDecoder("latin1").decode(encodeModel(graph));
  deepStrictEqual([model.split("Gemm").length - 1, model.split("Add").length - 1], [3, 0]);
});

Deno.test("gradient() computes a product once that two tensors have in common", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", ["batch", 4]);
  const y = graph.input("y", "float32", ["batch", 4]);
  const weight = graph.input("weight", "float32", [4, 4]);
  const product = gemm(add(x, y), weight);
  const loss = reduceSum(add(product, mul(x, x)), [0, 1]);
  for (const [i, found] of gradient(loss, [x, y]).entries()) graph.output(`g${i}`, found as Tensor);
  const model = new TextDecoder("latin1").decode(encodeModel(graph));
  deepStrictEqual(model.split("Gemm").length - 1, 1);
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
