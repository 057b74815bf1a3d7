/**
 * Every operator's gradient against central differences, on random shapes and values.
 *
 * @module
 */
import { deepStrictEqual, ok, throws } from "node:assert";
import fc from "fast-check";
import { Executor } from "../runtime/executor.ts";
import { gradient } from "./gradient.ts";
import { Graph, type Tensor, type TensorData } from "./graph.ts";
import * as op from "./operators.ts";
import { encodeModel } from "./proto.ts";
import { Random } from "../../lib/random.ts";
import { elementCount, type Shape } from "./shape.ts";
import { testOnDevices } from "../../tests/support/devices.ts";

const STEP = 1e-2;
const TOLERANCE = 2e-2;
const RUNS = 5;

/** An operator under test: its inputs' shapes and what is computed from them. */
interface Case {
  shapes: number[][];
  build: (inputs: Tensor[]) => Tensor;
}

const size = fc.integer({ min: 1, max: 4 });
const width = fc.integer({ min: 2, max: 5 });

/** Operators by name, each with an arbitrary of its shapes. */
const CASES: Record<string, fc.Arbitrary<Case>> = {
  "add, broadcast": fc.tuple(size, size, size).map(([a, b, c]) => ({
    shapes: [[a, b, c], [b, 1]],
    build: ([x, y]) => op.add(x!, y!),
  })),
  "sub, broadcast": fc.tuple(size, size).map(([a, b]) => ({
    shapes: [[1, b], [a, b]],
    build: ([x, y]) => op.sub(x!, y!),
  })),
  "mul, broadcast": fc.tuple(size, size).map(([a, b]) => ({
    shapes: [[a, b], [b]],
    build: ([x, y]) => op.mul(x!, y!),
  })),
  neg: unary(op.neg),
  exp: unary(op.exp),
  erf: unary(op.erf),
  tanh: unary(op.tanh),
  sigmoid: unary(op.sigmoid),
  cos: unary(op.cos),
  sin: unary(op.sin),
  softplus: unary(op.softplus),
  gelu: unary(op.gelu),
  softmax: unary(op.softmax),
  logSoftmax: unary(op.logSoftmax),
  "reduceSum, kept": unary((x) => op.reduceSum(x, [-1], true)),
  "reduceSum, dropped": unary((x) => op.reduceSum(x, [0])),
  reduceMean: unary((x) => op.reduceMean(x, [-1])),
  layerNormalization: fc.tuple(size, size, fc.integer({ min: 3, max: 5 })).map(([a, b, c]) => ({
    shapes: [[a, b, c], [c], [c]],
    build: ([x, scale, bias]) => op.layerNormalization(x!, scale!, bias!, 1e-3),
  })),
  matMul: fc.tuple(size, size, width, size).map(([a, b, c, d]) => ({
    shapes: [[a, b, c], [a, c, d]],
    build: ([x, y]) => op.matMul(x!, y!),
  })),
  "matMul, broadcast": fc.tuple(size, size, width, size).map(([a, b, c, d]) => ({
    shapes: [[a, b, c], [c, d]],
    build: ([x, y]) => op.matMul(x!, y!),
  })),
  "matMul, transposed": fc.tuple(size, size, width, size, fc.boolean(), fc.boolean()).map(
    ([a, b, c, d, transposeA, transposeB]) => ({
      shapes: [transposeA ? [a, c, b] : [a, b, c], transposeB ? [a, d, c] : [a, c, d]],
      build: ([x, y]) => op.matMul(x!, y!, { transposeA, transposeB }),
    }),
  ),
  attend: fc.tuple(size, size, width, size, fc.boolean()).map(([a, b, c, d, isMasked]) => ({
    shapes: [[a, b, c], [a, c, d]],
    build: ([scores, value]) => {
      const mask = scores!.graph.initializer("mask", randomTensor([a, b, c], 98));
      return op.attend(scores!, value!, isMasked ? mask : undefined);
    },
  })),
  gemm: fc.tuple(size, width, size, fc.boolean(), fc.boolean()).map(
    ([a, b, c, transposeA, transposeB]) => ({
      shapes: [transposeA ? [b, a] : [a, b], transposeB ? [c, b] : [b, c], [c]],
      build: ([x, y, z]) => op.gemm(x!, y!, z!, { transposeA, transposeB, alpha: 0.5 }),
    }),
  ),
  relativeShift: fc.tuple(size, size).map(([batch, length]) => ({
    shapes: [[batch, length, 2 * length + 1]],
    build: ([x]) => op.relativeShift(x!),
  })),
  reshape: fc.tuple(size, size, size).map(([a, b, c]) => ({
    shapes: [[a, b, c]],
    build: ([x]) => op.reshape(x!, [a * b, c]),
  })),
  transpose: fc.tuple(size, size, size).map(([a, b, c]) => ({
    shapes: [[a, b, c]],
    build: ([x]) => op.transpose(x!, [2, 0, 1]),
  })),
  expand: fc.tuple(size, size).map(([a, b]) => ({
    shapes: [[b, 1]],
    build: ([x]) => op.expand(x!, [a, b, 3]),
  })),
  slice: fc.tuple(size, fc.integer({ min: 3, max: 6 })).map(([a, b]) => ({
    shapes: [[a, b]],
    build: ([x]) => op.slice(x!, 1, 1, b - 1),
  })),
  concat: fc.tuple(size, size, size).map(([a, b, c]) => ({
    shapes: [[a, b], [a, c]],
    build: ([x, y]) => op.concat([x!, y!], 1),
  })),
  gather: fc.tuple(fc.integer({ min: 2, max: 5 }), size).map(([rows, columns]) => ({
    shapes: [[rows, columns]],
    build: ([x]) => op.gather(x!, x!.graph.integers([1, 0, 1, rows - 1])),
  })),
};

function unary(operator: (x: Tensor) => Tensor): fc.Arbitrary<Case> {
  return fc.tuple(size, width).map(([a, b]) => ({
    shapes: [[a, b]],
    build: ([x]) => operator(x!),
  }));
}

/** The loss, a weighted sum of the results with fixed random weights, and its gradients. */
function lossGraph({ shapes, build }: Case): Uint8Array {
  const graph = new Graph();
  const inputs = shapes.map((shape, i) => graph.input(`x${i}`, "float32", shape));
  const result = build(inputs);
  const weights = graph.initializer("weights", randomTensor(result.shape as number[], 99));
  const weighted = op.mul(result, weights);
  const loss = op.reduceSum(weighted, weighted.shape.map((_, axis) => axis));
  graph.output("loss", loss);
  for (const [i, found] of gradient(loss, inputs).entries()) {
    graph.output(`g${i}`, op.densify(found));
  }
  return encodeModel(graph);
}

function randomTensor(shape: readonly number[], seed: number): TensorData {
  const random = new Random(seed);
  const data = Float32Array.from({ length: elementCount(shape) }, () => random.normal());
  return { type: "float32", shape, data };
}

Deno.test("gradients agree with central differences", async (t) => {
  await using executor = await Executor.start({ threads: 1 });
  for (const [name, cases] of Object.entries(CASES)) {
    await t.step(name, async () => {
      await fc.assert(
        fc.asyncProperty(cases, fc.nat(), async (testCase, seed) => {
          const session = await executor.loadSession(lossGraph(testCase));
          const feeds = Object.fromEntries(
            testCase.shapes.map((shape, i) => [`x${i}`, randomTensor(shape, seed + i)]),
          );
          const lossOf = async (input: string, element: number, change: number) => {
            const changed = (feeds[input]!.data as Float32Array).slice();
            changed[element]! += change;
            const { loss } = await session.run({
              ...feeds,
              [input]: { ...feeds[input]!, data: changed },
            });
            return Number(loss!.data[0]);
          };
          const gradients = await session.run(feeds);
          for (const [i, shape] of testCase.shapes.entries()) {
            deepStrictEqual([...gradients[`g${i}`]!.shape], shape);
            for (let element = 0; element < elementCount(shape); element++) {
              const ahead = await lossOf(`x${i}`, element, STEP);
              const behind = await lossOf(`x${i}`, element, -STEP);
              const expected = (ahead - behind) / (2 * STEP);
              const actual = Number(gradients[`g${i}`]!.data[element]);
              const error = Math.abs(actual - expected) / Math.max(1, Math.abs(expected));
              ok(error < TOLERANCE, `x${i}[${element}]: ${actual}, expected ${expected}`);
            }
          }
          await session.release();
        }),
        { numRuns: RUNS },
      );
    });
  }
});

/** The values of an operator on one row, and the gradients of their sum weighted by `weights`. */
async function onRow(
  executor: Executor,
  operator: (x: Tensor) => Tensor,
  row: Float32Array,
  weights: Float32Array,
): Promise<{ values: number[]; gradients: number[] }> {
  const tensor = (data: Float32Array): TensorData => ({
    type: "float32",
    shape: [1, data.length],
    data,
  });
  const graph = new Graph();
  const x = graph.input("x", "float32", [1, row.length]);
  const y = operator(x);
  const weighted = op.mul(y, graph.initializer("weights", tensor(weights)));
  graph.output("y", y);
  graph.output("g", op.densify(gradient(op.reduceSum(weighted, [0, 1]), [x])[0]!));
  const session = await executor.loadSession(encodeModel(graph));
  const { y: values, g } = await session.run({ x: tensor(row) });
  return { values: Array.from(values!.data, Number), gradients: Array.from(g!.data, Number) };
}

function allClose(actual: number[], expected: number[]): void {
  for (const [i, value] of expected.entries()) {
    const error = Math.abs(actual[i]! - value);
    ok(error <= 2e-6 * Math.max(1, Math.abs(value)), `${actual[i]}, not ${value}`);
  }
}

testOnDevices("relu() keeps what is positive, and its gradient", async (executor) => {
  const row = Float32Array.of(-2, -0.5, 0, 0.5, 2);
  const { values, gradients } = await onRow(executor, op.relu, row, Float32Array.of(1, 2, 3, 4, 5));
  deepStrictEqual(values, [0, 0, 0, 0.5, 2]);
  deepStrictEqual(gradients, [0, 0, 0, 4, 5]);
});

testOnDevices("softplus() and its gradient hold far from zero", async (executor) => {
  const row = Float32Array.of(-200, -20, 0, 20, 200);
  const ones = new Float32Array(row.length).fill(1);
  const { values, gradients } = await onRow(executor, op.softplus, row, ones);
  const x = Array.from(row);
  allClose(values, x.map((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))));
  allClose(gradients, x.map((x) => 1 / (1 + Math.exp(-x))));
});

testOnDevices("logSoftmax() and its gradient hold far from zero", async (executor) => {
  const row = Float32Array.of(-200, 990, 1000, 1000, 998);
  const weights = Float32Array.of(1, -2, 3, 0.5, 1);
  const { values, gradients } = await onRow(executor, op.logSoftmax, row, weights);
  const shifted = Array.from(row, (x) => x - 1000);
  const logSum = Math.log(shifted.reduce((sum, z) => sum + Math.exp(z), 0));
  const total = weights.reduce((a, b) => a + b, 0);
  allClose(values, shifted.map((z) => z - logSum));
  allClose(gradients, shifted.map((z, i) => weights[i]! - Math.exp(z - logSum) * total));
});

Deno.test("operators name both shapes when they do not fit", () => {
  const input = (shape: Shape) => new Graph().input("x", "float32", shape);
  throws(() => op.add(input([2, 3]), input([2, 4])), /broadcast \[2, 3\] with \[2, 4\]/);
  throws(() => op.matMul(input([2, 3]), input([4, 5])), /multiply \[2, 3\] by \[4, 5\]/);
  throws(
    () => op.gemm(input([2, 3]), input([4, 2]), undefined, { transposeA: true }),
    /multiply \[2, 3\] transposed by \[4, 2\]/,
  );
  throws(() => op.reshape(input(["batch", 6]), [6]), /reshape \[batch, 6\] to \[6\]/);
  throws(() => op.transpose(input([2, 3]), [0]), /transpose \[2, 3\] by \[0\]/);
  throws(() => op.expand(input([2, 3]), [2, 4]), /\[2, 3\] with \[2, 4\]/);
  throws(() => op.slice(input([2, 3]), 1, 2, 4), /slice axis 1 of \[2, 3\] from 2 to 4/);
  throws(() => op.reduceMean(input(["batch", 2]), [0]), /the mean over batch values/);
});
