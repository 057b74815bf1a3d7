import { deepStrictEqual, ok } from "node:assert";
import { scratchClassifier } from "../scratch.ts";
import { calibrated, outputParameters, uncalibrated, withCalibration } from "./calibration.ts";

const CALIBRATION = { scales: [0.5, 2, 1], biases: [1, 0, -3] };

Deno.test("uncalibrated() undoes calibrated()", () => {
  const raw = Float32Array.of(4, -1, 0.5);
  deepStrictEqual(calibrated(raw, CALIBRATION), Float32Array.of(3, -2, -2.5));
  deepStrictEqual(uncalibrated(calibrated(raw, CALIBRATION), CALIBRATION), raw);
  deepStrictEqual(calibrated(raw, undefined), raw);
});

Deno.test("withCalibration() makes a head that gives calibrated logits, and changes nothing else", () => {
  const texts = ["a text", "another"];
  const options = { seed: 1, maxLength: 16 };
  const { config, weights } = scratchClassifier("tiny", texts, ["a", "b", "c"], options);
  const [weight, bias] = outputParameters(config);
  const width = weights[weight]!.length / 3;
  weights[bias]!.set([1, 2, 3]);
  const found = withCalibration(config, weights, CALIBRATION);
  const x = Float32Array.from({ length: width }, (_, i) => Math.sin(i));
  const logits = (of: typeof weights) =>
    Float32Array.from(
      of[bias]!,
      (constant, label) =>
        constant + x.reduce((sum, value, i) => sum + value * of[weight]![label * width + i]!, 0),
    );
  const expected = calibrated(logits(weights), CALIBRATION);
  for (const [i, logit] of logits(found).entries()) ok(Math.abs(logit - expected[i]!) < 1e-5);
  const others = ([name]: [string, unknown]) => name !== weight && name !== bias;
  deepStrictEqual(
    Object.entries(found).filter(others),
    Object.entries(weights).filter(others),
  );
});
