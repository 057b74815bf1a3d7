import { deepStrictEqual, ok, throws } from "node:assert";
import fc from "fast-check";
import { AdamW, type AdamWOptions, type ParameterShape } from "./adamw.ts";
import { Random } from "../../../lib/random.ts";
import { elementCount } from "../../graph/shape.ts";

const TOLERANCE = 1e-5;
const STEPS = 4;
const OPTIONS: AdamWOptions = {
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0.01,
  maxGradientNorm: 1,
};

/**
 * `torch.optim.AdamW` after `torch.nn.utils.clip_grad_norm_`, in float64 and over all parameters
 * as one list.
 */
class Reference {
  readonly firstMoments: number[];
  readonly secondMoments: number[];

  constructor(readonly weights: number[], readonly options: AdamWOptions) {
    this.firstMoments = weights.map(() => 0);
    this.secondMoments = weights.map(() => 0);
  }

  step(gradients: readonly number[], step: number, learningRate: number): number {
    const { beta1, beta2, epsilon, weightDecay, maxGradientNorm } = this.options;
    const norm = Math.sqrt(gradients.reduce((sum, gradient) => sum + gradient ** 2, 0));
    const scale = Math.min(1, maxGradientNorm / (norm + 1e-6));
    for (const [i, unclipped] of gradients.entries()) {
      const gradient = unclipped * scale;
      const first = beta1 * this.firstMoments[i]! + (1 - beta1) * gradient;
      const second = beta2 * this.secondMoments[i]! + (1 - beta2) * gradient ** 2;
      const correctedFirst = first / (1 - beta1 ** step);
      const correctedSecond = second / (1 - beta2 ** step);
      const decayed = this.weights[i]! * (1 - learningRate * weightDecay);
      this.weights[i] = decayed -
        learningRate * correctedFirst / (Math.sqrt(correctedSecond) + epsilon);
      this.firstMoments[i] = first;
      this.secondMoments[i] = second;
    }
    return norm;
  }
}

/** Checks ‖actual − expected‖ / ‖expected‖. */
function close(actual: readonly number[], expected: readonly number[], what: string): void {
  deepStrictEqual(actual.length, expected.length);
  const norm = (values: readonly number[]) => Math.hypot(...values);
  const error = norm(actual.map((value, i) => value - expected[i]!)) / norm(expected);
  ok(error < TOLERANCE, `${what} differ by ${error}`);
}

function normals(random: Random, count: number, deviation: number): number[] {
  return Array.from({ length: count }, () => Math.fround(random.normal() * deviation));
}

/** Some with sizes that the kernels' four lanes do not divide, one that is never tiny. */
const parameters: fc.Arbitrary<ParameterShape[]> = fc
  .array(fc.array(fc.integer({ min: 1, max: 7 }), { maxLength: 3 }), { maxLength: 4 })
  .map((shapes) => [[5, 3], ...shapes].map((shape, i) => ({ name: `parameter ${i}`, shape })));

const options: fc.Arbitrary<AdamWOptions> = fc.record({
  beta1: fc.constantFrom(0.9, 0.5),
  beta2: fc.constantFrom(0.999, 0.95),
  epsilon: fc.constantFrom(1e-8, 0.1),
  weightDecay: fc.constantFrom(0, 0.01, 0.5),
  maxGradientNorm: fc.constantFrom(1e-6, 0.5, 1, 1000),
}, { noNullPrototype: true });

/** Small ones show what the clipping adds to the norm, and where epsilon stands. */
const gradientSize = fc.constantFrom(3, 1e-6);

Deno.test("AdamW does what PyTorch's does", async () => {
  await fc.assert(
    fc.asyncProperty(
      parameters,
      options,
      gradientSize,
      fc.nat(),
      async (parameters, options, gradientSize, seed) => {
        const random = new Random(seed);
        const optimizer = await AdamW.create(parameters, options);
        const all = (view: (name: string) => Float32Array) =>
          parameters.flatMap(({ name }) => [...view(name)]);
        const scatter = (values: readonly number[], view: (name: string) => Float32Array) => {
          let start = 0;
          for (const { name, shape } of parameters) {
            const end = start + elementCount(shape);
            view(name).set(values.slice(start, end));
            start = end;
          }
        };

        const size = parameters.reduce((sum, { shape }) => sum + elementCount(shape), 0);
        const weights = normals(random, size, 1);
        scatter(weights, (name) => optimizer.weights(name));
        const reference = new Reference([...weights], options);
        for (let step = 1; step <= STEPS; step++) {
          const gradients = normals(random, size, gradientSize / step);
          const learningRate = 0.1 / step;
          scatter(gradients, (name) => optimizer.gradient(name));
          const norm = optimizer.step(step, learningRate);
          close([norm], [reference.step(gradients, step, learningRate)], "norms");
          close(all((name) => optimizer.weights(name)), reference.weights, "weights");
          close(all((name) => optimizer.firstMoments(name)), reference.firstMoments, "means");
          close(all((name) => optimizer.secondMoments(name)), reference.secondMoments, "variances");
        }
      },
    ),
    { numRuns: 100 },
  );
});

/** Rows of a table, some repeated, with gradients, and the same as a whole gradient. */
function randomRows(random: Random, [rows, width]: readonly [number, number], count: number) {
  const indices = Array.from({ length: count }, () => random.integer(rows));
  const values = normals(random, count * width, 1);
  const whole = new Float32Array(rows * width);
  for (const [i, value] of values.entries()) {
    whole[indices[Math.floor(i / width)]! * width + i % width]! += value;
  }
  return { indices, values: Float32Array.from(values), whole };
}

/** Copies of everything that steps change. */
function stateOf(optimizer: AdamW, name: string): Record<string, Float32Array> {
  optimizer.settle();
  return {
    weights: optimizer.weights(name).slice(),
    firstMoments: optimizer.firstMoments(name).slice(),
    secondMoments: optimizer.secondMoments(name).slice(),
  };
}

Deno.test("AdamW does with rows of a table what it does with whole gradients", async () => {
  const shape = fc.tuple(fc.integer({ min: 2, max: 60 }), fc.integer({ min: 1, max: 37 }));
  await fc.assert(
    fc.asyncProperty(
      shape,
      fc.integer({ min: 1, max: 4 }),
      fc.nat(),
      async (shape, parts, seed) => {
        const random = new Random(seed);
        const parameters = [{ name: "table", shape }, { name: "other", shape: [3] }];
        const byRow = await AdamW.create(parameters, OPTIONS, new Set(["table"]));
        const whole = await AdamW.create(parameters, OPTIONS);
        const initial = normals(random, shape[0] * shape[1], 1);
        for (const optimizer of [byRow, whole]) optimizer.weights("table").set(initial);
        for (let step = 1; step <= STEPS; step++) {
          byRow.clearRows();
          whole.gradient("table").fill(0);
          for (let part = 0; part < parts; part++) {
            const rows = randomRows(random, shape, random.integer(4));
            byRow.addRows("table", rows.values, rows.indices);
            const target = whole.gradient("table");
            for (const [i, value] of rows.whole.entries()) target[i]! += value;
          }
          close([1, byRow.step(step, 0.1)], [1, whole.step(step, 0.1)], "norms");
          const expected = stateOf(whole, "table");
          for (const [kind, values] of Object.entries(stateOf(byRow, "table"))) {
            close([1, ...values], [1, ...expected[kind]!], kind);
          }
          // As a run that goes on from a checkpoint does.
          byRow.setMoments("firstMoments", "table", expected["firstMoments"]!);
          byRow.setMoments("secondMoments", "table", expected["secondMoments"]!);
        }
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("AdamW puts off the decay of rows to the same bits, whenever they are read", async () => {
  const shape = fc.tuple(fc.integer({ min: 2, max: 200 }), fc.integer({ min: 1, max: 70 }));
  await fc.assert(
    fc.asyncProperty(shape, fc.nat(), async (shape, seed) => {
      const random = new Random(seed);
      const parameters = [{ name: "table", shape }];
      const byRow = await AdamW.create(parameters, OPTIONS, new Set(["table"]));
      const whole = await AdamW.create(parameters, OPTIONS);
      const initial = normals(random, shape[0] * shape[1], 1);
      for (const optimizer of [byRow, whole]) optimizer.weights("table").set(initial);
      for (let step = 1; step <= 75; step++) {
        byRow.clearRows();
        const { indices, values, whole: gradient } = randomRows(random, shape, random.integer(3));
        byRow.settleRows("table", indices);
        for (const row of indices) {
          const rowOf = (optimizer: AdamW) =>
            optimizer.weights("table").slice(row * shape[1], (row + 1) * shape[1]);
          deepStrictEqual(rowOf(byRow), rowOf(whole));
        }
        byRow.addRows("table", values, indices);
        whole.gradient("table").set(gradient);
        const rate = 0.5 / step;
        byRow.step(step, rate);
        whole.step(step, rate);
        if (random.integer(40) === 0) byRow.settle();
      }
      deepStrictEqual(stateOf(byRow, "table"), stateOf(whole, "table"));
    }),
    { numRuns: 30 },
  );
});

Deno.test("AdamW leaves the rows of moments that it is given their decay", async () => {
  const optimizer = await AdamW.create(
    [{ name: "table", shape: [3, 2] }],
    OPTIONS,
    new Set(["table"]),
  );
  optimizer.setMoments("firstMoments", "table", Float32Array.of(0, 0, 1, 0, 0, 0));
  optimizer.setMoments("secondMoments", "table", Float32Array.of(0, 0, 1, 0, 0, 0));
  optimizer.step(1, 0.1);
  close([...optimizer.firstMoments("table")], [0, 0, 0.9, 0, 0, 0], "first moments");
  close([...optimizer.secondMoments("table")], [0, 0, 0.999, 0, 0, 0], "second moments");
});

Deno.test("AdamW.step() gives the norm of all gradients before it clips them", async () => {
  const optimizer = await AdamW.create(
    [{ name: "a", shape: [1] }, { name: "b", shape: [2, 3] }],
    OPTIONS,
  );
  optimizer.gradient("a").set([2]);
  optimizer.gradient("b").set([0, 0, 4, 0, 0, 4]);
  deepStrictEqual(optimizer.step(1, 0), 6);
});

Deno.test("AdamW starts from zeros of the parameters' sizes", async () => {
  const optimizer = await AdamW.create(
    [{ name: "scalar", shape: [] }, { name: "matrix", shape: [2, 3] }],
    OPTIONS,
  );
  for (const [name, zeros] of [["scalar", [0]], ["matrix", [0, 0, 0, 0, 0, 0]]] as const) {
    deepStrictEqual([...optimizer.weights(name)], zeros);
    deepStrictEqual([...optimizer.firstMoments(name)], zeros);
    deepStrictEqual([...optimizer.secondMoments(name)], zeros);
    deepStrictEqual([...optimizer.gradient(name)], zeros);
  }
});

Deno.test("AdamW refuses a parameter that it does not have", async () => {
  const optimizer = await AdamW.create([{ name: "a", shape: [1] }], OPTIONS);
  throws(() => optimizer.weights("b"), {
    name: "RangeError",
    message: "Cannot find parameter 'b'",
  });
  throws(() => optimizer.gradient("b"), /'b'/);
  throws(() => optimizer.addRows("a", new Float32Array(1), [0]), /'a'/);
});
