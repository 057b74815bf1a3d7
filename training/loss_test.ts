import { deepStrictEqual, ok } from "node:assert";
import fc from "fast-check";
import { PROBLEM_TYPES } from "../data/labels.ts";
import { Executor } from "../onnx/runtime/executor.ts";
import { Graph } from "../onnx/graph/graph.ts";
import { encodeModel } from "../onnx/graph/proto.ts";
import { appendLoss, lossOf } from "./loss.ts";

const LABELS = 3;

/** Rows of labels that each kind of problem can have. */
const ROWS = {
  single_label_classification: fc.nat(LABELS - 1)
    .map((label) => Array.from({ length: LABELS }, (_, i) => Number(i === label))),
  multi_label_classification: fc.array(fc.constantFrom(0, 1), {
    minLength: LABELS,
    maxLength: LABELS,
  }),
  regression: fc.tuple(fc.integer({ min: -50, max: 50 })),
};

for (const problemType of PROBLEM_TYPES) {
  Deno.test(`lossOf() and appendLoss() agree in ${problemType}`, async () => {
    const width = problemType === "regression" ? 1 : LABELS;
    const graph = new Graph();
    const input = (name: string) => graph.input(name, "float32", ["batch", width]);
    graph.output("loss", appendLoss(input("logits"), input("labels"), problemType));
    await using executor = await Executor.start({ threads: 1 });
    const session = await executor.loadSession(encodeModel(graph));

    const logit = fc.integer({ min: -400, max: 400 }).map((value) => value / 8);
    const row: fc.Arbitrary<number[]> = ROWS[problemType];
    const example = fc.tuple(fc.array(logit, { minLength: width, maxLength: width }), row);
    const property = fc.asyncProperty(
      fc.array(example, { minLength: 1, maxLength: 5 }),
      async (examples) => {
        const tensor = (rows: number[][]) => ({
          type: "float32" as const,
          shape: [rows.length, width],
          data: Float32Array.from(rows.flat()),
        });
        const { loss } = await session.run({
          logits: tensor(examples.map(([logits]) => logits)),
          labels: tensor(examples.map(([, labels]) => labels)),
        });
        deepStrictEqual(loss!.shape, [examples.length]);
        for (const [i, [logits, labels]] of examples.entries()) {
          const expected = lossOf(logits, labels, problemType);
          const difference = Math.abs(Number(loss!.data[i]) - expected);
          ok(difference <= 1e-5 * Math.max(1, expected), `${loss!.data[i]}, not ${expected}`);
        }
      },
    );
    await fc.assert(property, { numRuns: 50 });
  });
}

Deno.test("lossOf() is finite however sure and wrong the model is", () => {
  const loss = (type: (typeof PROBLEM_TYPES)[number]) => lossOf([1000, 0], [0, 1], type);
  deepStrictEqual(loss("single_label_classification"), 1000);
  deepStrictEqual(loss("multi_label_classification"), (1000 + Math.LN2) / 2);
  deepStrictEqual(loss("regression"), (1000 ** 2 + 1) / 2);
});
