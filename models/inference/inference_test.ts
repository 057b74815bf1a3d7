import { deepStrictEqual, ok } from "node:assert";
import fc from "fast-check";
import { predictedClasses, scoresOf } from "./inference.ts";

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
  deepStrictEqual(predictedClasses([0.2, 0.5, 0.3], "single_label_classification"), [1]);
  deepStrictEqual(predictedClasses([0.2, 0.5, 0.9], "multi_label_classification"), [1, 2]);
  deepStrictEqual(predictedClasses([0.2, 0.4], "multi_label_classification"), []);
});
