import { deepStrictEqual, notDeepStrictEqual, ok, rejects } from "node:assert";
import { Dropout } from "../graph/dropout.ts";
import {
  Executor,
  type RemoteTrainingSession,
  type StepResult,
  type Tensors,
  type TrainingGraphs,
} from "./executor.ts";
import { outputGradients } from "../graph/gradient.ts";
import { Graph, type Tensor } from "../graph/graph.ts";
import { gather, mul, reduceSum, reshape, sub } from "../graph/operators.ts";
import type { ParameterKind, ParameterValues } from "./optimizer/parameters.ts";
import { encodeModel } from "../graph/proto.ts";
import { Random } from "../../lib/random.ts";
import { testOnDevices } from "../../tests/support/devices.ts";

const ROWS = 40;
const WIDTH = 300;
/** More than one workgroup, and not a multiple of a SIMD lane. */
const SHAPES = { table: [ROWS, WIDTH], scale: [WIDTH], shift: [1], fixed: [WIDTH] };

/** A graph that learns to bring rows of a table, scaled and shifted, close to their targets. */
function graphs(dropoutProbability: number): TrainingGraphs {
  const build = (graph: Graph, dropout?: Dropout) => {
    const parameter = (name: keyof typeof SHAPES) => graph.input(name, "float32", SHAPES[name]);
    const parameters = Object.fromEntries(
      Object.keys(SHAPES).map((name) => [name, parameter(name as keyof typeof SHAPES)]),
    ) as Record<keyof typeof SHAPES, Tensor>;
    const ids = graph.input("ids", "int64", ["batch", "length"]);
    const rows = reshape(gather(parameters.table, ids), ["batch*length", WIDTH]);
    const scaled = mul(mul(rows, parameters.scale), parameters.fixed);
    const y = sub(dropout?.apply(scaled, dropoutProbability) ?? scaled, parameters.shift);
    return { parameters, y };
  };
  const inference = new Graph();
  inference.output("y", build(inference).y);

  const training = new Graph({ derivedInputs: true });
  const dropout = new Dropout(training);
  const { parameters: { table, scale, shift }, y } = build(training, dropout);
  const target = training.input("target", "float32", []);
  const error = sub(y, target);
  const loss = reduceSum(mul(error, error), [0, 1]);
  training.output("loss", loss);
  const gradients = outputGradients(training, loss, [table, scale, shift]);
  return {
    training: encodeModel(training),
    inference: encodeModel(inference),
    parameters: Object.entries(SHAPES).map(([name, shape]) => ({ name, shape })),
    gradients,
    dropout: dropout.sites,
  };
}

function initialWeights(): ParameterValues {
  const random = new Random(1);
  return Object.fromEntries(
    Object.entries(SHAPES).map(([name, shape]) => {
      const count = shape.reduce((a, b) => a * b, 1);
      return [name, Float32Array.from({ length: count }, () => 1 + 0.1 * random.normal())];
    }),
  );
}

/** Rows that repeat within a batch and from batch to batch. */
function batch(texts: number[][]): Tensors {
  return {
    ids: {
      type: "int64",
      shape: [texts.length, texts[0]!.length],
      data: BigInt64Array.from(texts.flat(), BigInt),
    },
    target: { type: "float32", shape: [], data: Float32Array.of(2) },
  };
}
const BATCHES = [[[1, 2, 2], [3, 1, 39]], [[2, 2, 2], [0, 4, 5]], [[7, 1, 9], [10, 11, 0]]];

function load(executor: Executor, dropoutProbability = 0): Promise<RemoteTrainingSession> {
  return executor.loadTrainingSession(graphs(dropoutProbability), initialWeights(), {
    optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, maxGradientNorm: 5 },
    dropoutSeed: 3,
    largestDimensions: [{ batch: 4, length: 3 }],
  });
}

async function train(session: RemoteTrainingSession, from: number, to: number): Promise<void> {
  for (let step = from; step <= to; step++) {
    await session.step([batch(BATCHES[step % BATCHES.length]!)], step, 1e-2);
  }
}

testOnDevices("a training session learns, and leaves what is frozen", async (executor) => {
  const session = await load(executor);
  const { loss: before } = await session.step([batch(BATCHES[0]!)], 1, 1e-2);
  await train(session, 2, 60);
  const { loss: after, gradientNorm } = await session.step([batch(BATCHES[0]!)], 61, 1e-2);
  ok(after < 0.5 * before, `${before} became ${after}`);
  ok(gradientNorm > 0);
  deepStrictEqual(await session.values("weights", "fixed"), initialWeights()["fixed"]);
  notDeepStrictEqual(await session.values("weights", "table"), initialWeights()["table"]);
});

testOnDevices("a step in parts is the step of the whole batch", async (executor) => {
  const texts = BATCHES.flat();
  const [whole, inParts] = [await load(executor), await load(executor)];
  for (let step = 1; step <= 3; step++) {
    const expected = await whole.step([batch(texts)], step, 1e-2);
    const actual = await inParts.step(texts.map((text) => batch([text])), step, 1e-2);
    for (const key of ["loss", "gradientNorm"] as const) {
      ok(Math.abs(actual[key] / expected[key] - 1) < 1e-4, `${key} of step ${step}`);
    }
  }
  for (const name of Object.keys(SHAPES)) {
    const actual = await inParts.values("weights", name);
    for (const [i, expected] of (await whole.values("weights", name)).entries()) {
      ok(Math.abs(actual[i]! - expected) < 1e-4, `${name}[${i}]`);
    }
  }
});

testOnDevices("steps that nobody waits for give what others give", async (executor) => {
  const [waited, submitted] = [await load(executor, 0.3), await load(executor, 0.3)];
  const expected: StepResult[] = [];
  const actual: StepResult[] = [];
  const answers: number[] = [];
  for (let step = 1; step <= 23; step++) {
    const parts = BATCHES.slice(0, 1 + step % 2).map((texts) => batch(texts));
    const { loss, gradientNorm } = await waited.step(parts, step, 1e-2);
    expected.push({ loss, gradientNorm });
    const known = await submitted.submit(parts, step, 1e-2);
    answers.push(known.length);
    actual.push(...known);
  }
  const isGpu = executor.choice.device === "webgpu";
  // A GPU is asked after each ten steps.
  deepStrictEqual(answers, answers.map((_, i) => isGpu ? (i % 10 === 9 ? 10 : 0) : 1));
  actual.push(...await submitted.results());
  deepStrictEqual(actual, expected);
  deepStrictEqual(await submitted.results(), []);
  deepStrictEqual(await state(submitted), await state(waited));
});

testOnDevices("a step gives its own result, whatever has not been read", async (executor) => {
  const [waited, submitted] = [await load(executor), await load(executor)];
  await train(waited, 1, 2);
  for (const step of [1, 2]) {
    await submitted.submit([batch(BATCHES[step % BATCHES.length]!)], step, 1e-2);
  }
  const [expected, actual] = await Promise.all(
    [waited, submitted].map(async (session) =>
      (await session.step([batch(BATCHES[0]!)], 3, 1e-2)).loss
    ),
  );
  deepStrictEqual(actual, expected);
  deepStrictEqual(await submitted.results(), []);
});

testOnDevices("dropout drops the same elements on every device", async (executor) => {
  await using reference = await Executor.start({ threads: 1 });
  const sessions = [await load(reference, 0.3), await load(executor, 0.3)];
  for (let step = 1; step <= 3; step++) {
    const parts = BATCHES.slice(0, 2).map((texts) => batch(texts));
    const [expected, actual] = await Promise.all(
      sessions.map(async (session) => (await session.step(parts, step, 0)).loss),
    );
    ok(Math.abs(actual! / expected! - 1) < 1e-5, `${actual}, not ${expected}`);
  }
});

const STATE: [ParameterKind, string][] = [
  ...Object.keys(SHAPES).map((name): [ParameterKind, string] => ["weights", name]),
  ...(["firstMoments", "secondMoments"] as const).flatMap((kind) =>
    ["table", "scale", "shift"].map((name): [ParameterKind, string] => [kind, name])
  ),
];

async function state(session: RemoteTrainingSession): Promise<Float32Array[]> {
  return await Promise.all(STATE.map(([kind, name]) => session.values(kind, name)));
}

async function putBack(session: RemoteTrainingSession, values: Float32Array[]): Promise<void> {
  for (const [i, [kind, name]] of STATE.entries()) {
    await session.setValues(kind, name, values[i]!.slice());
  }
}

testOnDevices("a state that is put back leads to the same bytes", async (executor) => {
  const session = await load(executor, 0.3);
  await train(session, 1, 3);
  const before = await state(session);
  await train(session, 4, 8);
  const expected = await state(session);
  notDeepStrictEqual(before, expected);

  for (const other of [session, await load(executor, 0.3)]) {
    await putBack(other, before);
    await train(other, 4, 8);
    deepStrictEqual(await state(other), expected);
  }
});

testOnDevices("a training session refuses values that it has no place for", async (executor) => {
  const session = await load(executor);
  await rejects(session.setValues("weights", "table", new Float32Array(3)), {
    name: "RangeError",
    message: "Cannot set 'table': it has 12000 values, got 3",
  });
  await rejects(session.values("weights", "other"), /Cannot find weights of 'other'/);
  await rejects(session.values("firstMoments", "fixed"), /Cannot find firstMoments of 'fixed'/);
});

testOnDevices("the inference graph sees the present weights", async (executor) => {
  const session = await load(executor);
  const output = async () => Array.from((await session.run(batch([[1]])))["y"]!.data, Number);
  const initial = initialWeights();
  const expected = Array.from(
    { length: WIDTH },
    (_, i) =>
      Math.fround(
        Math.fround(initial["table"]![WIDTH + i]! * initial["scale"]![i]!) * initial["fixed"]![i]!,
      ) - initial["shift"]![0]!,
  );
  for (const [i, value] of (await output()).entries()) {
    ok(Math.abs(value - expected[i]!) < 1e-5, `y[${i}]`);
  }
  await train(session, 1, 1);
  notDeepStrictEqual(await output(), expected);
});

testOnDevices("what no step has read decays before it is seen or read", async (executor) => {
  const [seen, read] = [await load(executor), await load(executor)];
  for (const session of [seen, read]) await train(session, 1, 40);
  // Before values() is asked for, which would bring the weights up to date itself.
  const y = Array.from((await seen.run(batch([[20]])))["y"]!.data, Number);
  const { loss } = await read.step([batch([[20]])], 41, 1e-2);

  const [table, scale, fixed, shift] = await Promise.all(
    ["table", "scale", "fixed", "shift"].map((name) => seen.values("weights", name)),
  ) as [Float32Array, Float32Array, Float32Array, Float32Array];
  const initial = initialWeights()["table"]!;
  const decay = (1 - 1e-2 * 0.1) ** 40;
  for (let i = 0; i < WIDTH; i++) {
    const value = table[20 * WIDTH + i]!;
    ok(Math.abs(value / (initial[20 * WIDTH + i]! * decay) - 1) < 1e-5, `table[${i}]`);
    ok(Math.abs(y[i]! - (value * scale[i]! * fixed[i]! - shift[0]!)) < 1e-5, `y[${i}]`);
  }
  const expected = y.reduce((sum, value) => sum + (value - 2) ** 2, 0);
  ok(Math.abs(loss / expected - 1) < 1e-4, `loss ${loss}, expected ${expected}`);
});

testOnDevices(
  "a training session refuses a parameter that the device has no room for",
  async (executor) => {
    const { training, inference, gradients, dropout } = graphs(0);
    const parameters = Object.keys(SHAPES).map((name) => ({ name, shape: [300_000_000] }));
    const options = {
      optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, maxGradientNorm: 1 },
      dropoutSeed: 1,
      largestDimensions: [{}],
    };
    const huge = { training, inference, gradients, dropout, parameters };
    await rejects(executor.loadTrainingSession(huge, {}, options), { name: "DeviceError" });
  },
);
