import { deepStrictEqual, notDeepStrictEqual, ok, strictEqual } from "node:assert";
import { Dropout, DropoutWindows } from "./dropout.ts";
import { Executor, type InferenceSession } from "../runtime/executor.ts";
import { gradient } from "./gradient.ts";
import { Graph, type Tensor, type TensorData } from "./graph.ts";
import { densify, mul, neg, reduceSum, reshape } from "./operators.ts";
import { encodeModel } from "./proto.ts";
import { elementCount } from "./shape.ts";

const PROBABILITY = 0.25;
const LARGEST = { batch: 20, width: 30 };

function filled(shape: readonly number[], value: (i: number) => number): TensorData {
  const data = Float32Array.from({ length: elementCount(shape) }, (_, i) => value(i));
  return { type: "float32", shape, data };
}

const ones = (shape: readonly number[]) => filled(shape, () => 1);

/** Drops from `x`, `[batch, width]`, at two sites, `first` and `second`. */
function twoSites(probabilities: [number, number]) {
  const graph = new Graph();
  const dropout = new Dropout(graph);
  const x = graph.input("x", "float32", ["batch", "width"]);
  graph.output("first", dropout.apply(x, probabilities[0]));
  graph.output("second", dropout.apply(x, probabilities[1]));
  return { model: encodeModel(graph), sites: dropout.sites };
}

/** The results of both sites on ones. */
async function dropped(
  session: InferenceSession,
  windows: DropoutWindows,
  step: number,
  shape = [LARGEST.batch, LARGEST.width],
): Promise<{ first: number[]; second: number[] }> {
  const { first, second } = await session.run({
    x: ones(shape),
    ...windows.feeds(step, { batch: shape[0]!, width: shape[1]! }),
  });
  deepStrictEqual([[...first!.shape], [...second!.shape]], [shape, shape]);
  return { first: Array.from(first!.data, Number), second: Array.from(second!.data, Number) };
}

/** Which elements are kept. */
function mask(values: readonly number[]): boolean[] {
  return values.map((value) => value !== 0);
}

Deno.test("Dropout drops the share it is told to and scales the rest", async () => {
  await using executor = await Executor.start({ threads: 1 });
  const { model, sites } = twoSites([PROBABILITY, 0.6]);
  deepStrictEqual(sites.map(({ probability }) => probability), [PROBABILITY, 0.6]);
  const session = await executor.loadSession(model);
  const { first, second } = await dropped(
    session,
    new DropoutWindows(11, sites, [{ batch: 100, width: 1000 }]),
    1,
    [
      100,
      1000,
    ],
  );
  for (const [values, probability] of [[first, PROBABILITY], [second, 0.6]] as const) {
    deepStrictEqual(new Set(values), new Set([0, Math.fround(1 / (1 - probability))]));
    const share = values.filter((value) => value === 0).length / values.length;
    ok(Math.abs(share - probability) < 0.01, `dropped ${share}, expected ${probability}`);
  }
});

Deno.test("Dropout's masks are a function of seed, step and site", async () => {
  await using executor = await Executor.start({ threads: 1 });
  const { model, sites } = twoSites([PROBABILITY, PROBABILITY]);
  const session = await executor.loadSession(model);
  const run = (seed: number, step: number) =>
    dropped(session, new DropoutWindows(seed, sites, [LARGEST]), step);

  const { first, second } = await run(11, 7);
  deepStrictEqual(await run(11, 7), { first, second });
  notDeepStrictEqual(mask(second), mask(first));
  for (const other of [await run(11, 8), await run(12, 7)]) {
    notDeepStrictEqual(mask(other.first), mask(first));
    notDeepStrictEqual(mask(other.second), mask(second));
  }
});

Deno.test("Dropout gives each step a mask of its own", async () => {
  await using executor = await Executor.start({ threads: 1 });
  const { model, sites } = twoSites([PROBABILITY, PROBABILITY]);
  const session = await executor.loadSession(model);
  const windows = new DropoutWindows(11, sites, [LARGEST]);
  const masks = new Set<string>();
  for (let step = 1; step <= 20; step++) {
    const { first, second } = await dropped(session, windows, step);
    masks.add(String(mask(first))).add(String(mask(second)));
  }
  deepStrictEqual(masks.size, 40);
});

Deno.test("Dropout follows the shapes of each run", async () => {
  await using executor = await Executor.start({ threads: 1 });
  const { model, sites } = twoSites([PROBABILITY, PROBABILITY]);
  const session = await executor.loadSession(model);
  const windows = new DropoutWindows(11, sites, [LARGEST]);
  const long = await dropped(session, windows, 3, [20, 30]);
  const short = await dropped(session, windows, 3, [4, 5]);
  const flat = await dropped(session, windows, 3, [1, 20]);
  deepStrictEqual(short.first, long.first.slice(0, 20));
  deepStrictEqual(flat, short);
});

Deno.test("DropoutWindows has masks for a site of the largest size", async () => {
  await using executor = await Executor.start({ threads: 1 });
  const graph = new Graph();
  const dropout = new Dropout(graph);
  const x = graph.input("x", "float32", ["batch", "width", 4]);
  graph.output("y", dropout.apply(reshape(x, ["batch*width", 4]), PROBABILITY));
  const session = await executor.loadSession(encodeModel(graph));
  // More elements than a small site's masks have.
  const windows = new DropoutWindows(11, dropout.sites, [{ batch: 400, width: 700 }]);
  for (const step of [1, 2, 3]) {
    const { y } = await session.run({
      x: ones([400, 700, 4]),
      ...windows.feeds(step, { batch: 400, width: 700 }),
    });
    deepStrictEqual([...y!.shape], [280_000, 4]);
  }
});

Deno.test("Dropout of probability 0 adds nothing", async () => {
  await using executor = await Executor.start({ threads: 1 });
  const graph = new Graph();
  const dropout = new Dropout(graph);
  const x = graph.input("x", "float32", ["batch"]);
  strictEqual(dropout.apply(x, 0), x);
  graph.output("y", neg(dropout.apply(x, 0)));
  deepStrictEqual(dropout.sites, []);
  const windows = new DropoutWindows(11, dropout.sites, [{}]);
  deepStrictEqual(windows.feeds(1, {}), {});
  const session = await executor.loadSession(encodeModel(graph));
  const { y } = await session.run({ x: ones([3]) });
  deepStrictEqual([...y!.data], [-1, -1, -1]);
});

Deno.test("Dropout's gradient passes where the element was kept, and scaled alike", async () => {
  await using executor = await Executor.start({ threads: 1 });
  const graph = new Graph();
  const dropout = new Dropout(graph);
  const x = graph.input("x", "float32", ["rows", 10]);
  const weights = graph.input("weights", "float32", ["rows", 10]);
  const y: Tensor = dropout.apply(x, PROBABILITY);
  const loss = reduceSum(mul(y, weights), [0, 1]);
  graph.output("y", y);
  graph.output("gradient", densify(gradient(loss, [x])[0]!));
  const session = await executor.loadSession(encodeModel(graph));
  const windows = new DropoutWindows(11, dropout.sites, [{ rows: 8 }]);

  const outputs = await session.run({
    x: ones([8, 10]),
    weights: filled([8, 10], (i) => i + 1),
    ...windows.feeds(1, { rows: 8 }),
  });
  const kept = Array.from(outputs["y"]!.data, Number);
  ok(kept.includes(0) && kept.some((value) => value !== 0));
  deepStrictEqual(
    Array.from(outputs["gradient"]!.data, Number),
    kept.map((value, i) => Math.fround(value * (i + 1))),
  );
});
