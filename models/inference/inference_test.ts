import { deepStrictEqual, ok, throws } from "node:assert";
import fc from "fast-check";
import { logitRows, predictedClasses, scoresOf } from "./inference.ts";

const logits = fc.array(fc.float({ min: -100, max: 100, noNaN: true }), {
  minLength: 1,
  maxLength: 6,
});

Deno.test("scoresOf() gives probabilities that add up to 1 for one class", () => {
  fc.assert(fc.property(logits, (logits) => {
    const scores = scoresOf(logits, "single_label_classification");
    ok(Math.abs(scores.reduce((sum, score) => sum + score, 0) - 1) < 1e-9);
    ok(scores.every((score) => score >= 0 && score <= 1));
  }));
});

Deno.test("scoresOf() scores each of several classes by itself", () => {
  fc.assert(fc.property(logits, (logits) => {
    const scores = scoresOf(logits, "multi_label_classification");
    for (const [i, logit] of logits.entries()) {
      deepStrictEqual(scoresOf([logit], "multi_label_classification"), [scores[i]]);
      ok(Math.abs(scores[i]! - (1 + Math.tanh(logit / 2)) / 2) < 1e-12);
    }
  }));
});

Deno.test("scoresOf() leaves numbers as they are", () => {
  deepStrictEqual(scoresOf(Float32Array.of(-3.5), "regression"), [-3.5]);
});

Deno.test("predictedClasses() takes the highest of one class, and all from 0.5 of several", () => {
  const single = { problemType: "single_label_classification" } as const;
  const several = { problemType: "multi_label_classification" } as const;
  deepStrictEqual(predictedClasses([0.2, 0.5, 0.3], single), [1]);
  deepStrictEqual(predictedClasses([0.2, 0.5, 0.9], several), [1, 2]);
  deepStrictEqual(predictedClasses([0.2, 0.4], several), []);
  deepStrictEqual(predictedClasses([0.2, 0.4], { ...several, thresholds: [0.1, 0.9] }), [0]);
});

Deno.test("scoresOf() makes no score of what is not finite", () => {
  for (
    const problemType of [
      "single_label_classification",
      "multi_label_classification",
      "regression",
    ] as const
  ) {
    for (const value of [NaN, Infinity, -Infinity]) {
      throws(() => scoresOf([1, value], problemType), {
        name: "UserError",
        message:
          `Cannot classify: the model's logits must be finite, got ${value}; its weights or ` +
          "its config.json are damaged",
      });
    }
  }
});

Deno.test("logitRows() takes a number for each class of each text, and nothing else", () => {
  const logits = (shape: number[], size = 6) => ({
    type: "float32" as const,
    shape,
    data: Float32Array.from({ length: size }, (_, i) => i),
  });
  const rows = [Float32Array.of(0, 1, 2), Float32Array.of(3, 4, 5)];
  deepStrictEqual(logitRows(logits([2, 3]), 2, 3), rows);
  const refused = [logits([3, 2]), logits([6]), logits([2, 3, 1]), logits([2, 2], 4), undefined, {
    type: "int64" as const,
    shape: [2, 3],
    data: new BigInt64Array(6),
  }];
  for (const wrong of refused) {
    const got = wrong === undefined ? "none" : `${wrong.type} [${wrong.shape}]`;
    throws(() => logitRows(wrong, 2, 3), {
      name: "UserError",
      message: `Cannot classify: the model's logits must be float32 [2,3], got ${got}`,
    });
  }
});
