import { deepStrictEqual } from "node:assert";
import { Graph } from "./graph.ts";
import { peakBytes, tensorLifetimes } from "./memory.ts";
import { add, exp, matMul, mul, neg, reshape } from "./operators.ts";

Deno.test("peakBytes() counts what is held together, and not what is free by then", () => {
  const graph = new Graph();
  let x = graph.input("x", "float32", ["batch", 10]);
  for (let i = 0; i < 5; i++) x = exp(x);
  graph.output("y", x);
  // The input, an operand and a result.
  deepStrictEqual(peakBytes(tensorLifetimes(graph), { batch: 100 }), 3 * 100 * 10 * 4);
});

Deno.test("peakBytes() counts what a later node reads until then", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", ["batch", 10]);
  const kept = exp(x);
  graph.output("y", add(neg(neg(neg(kept))), kept));
  deepStrictEqual(peakBytes(tensorLifetimes(graph), { batch: 1 }), 4 * 10 * 4);
});

Deno.test("peakBytes() counts a tensor under another shape once", () => {
  const graph = new Graph();
  const x = graph.input("x", "int64", ["batch", 10]);
  graph.output("y", reshape(reshape(x, ["10*batch"]), [10, "batch"]));
  deepStrictEqual(peakBytes(tensorLifetimes(graph), { batch: 3 }), 30 * 8);
});

Deno.test("peakBytes() leaves out what no output needs", () => {
  const graph = new Graph();
  const x = graph.input("x", "float32", ["batch", 10]);
  matMul(reshape(mul(x, 2), ["10*batch", 1]), graph.input("unused", "float32", [1, 100]));
  graph.output("y", neg(x));
  deepStrictEqual(peakBytes(tensorLifetimes(graph), { batch: 1 }), 2 * 10 * 4);
});
