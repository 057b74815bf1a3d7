import { deepStrictEqual, ok, strictEqual } from "node:assert";
import fc from "fast-check";
import { calibrationOf, coverageOf } from "./calibration_error.ts";

Deno.test("calibrationOf() measures the distance of scores and accuracy", () => {
  const predictions = [
    { score: 0.9, isRight: true },
    { score: 0.9, isRight: false },
    { score: 0.6, isRight: true },
    { score: 0.6, isRight: true },
  ];
  const { expected_calibration_error, bins } = calibrationOf(predictions);
  // Two are right half the time and say 0.9, two always and say 0.6.
  ok(Math.abs(expected_calibration_error - (0.4 + 0.4) / 2) < 1e-12);
  const filled = bins.filter(({ n }) => n > 0);
  deepStrictEqual(filled.map(({ n, accuracy }) => [n, accuracy]), [[2, 1], [2, 0.5]]);
});

Deno.test("calibrationOf() counts every prediction once, and is 0 where all say what they are", () => {
  const prediction = fc.record({
    score: fc.double({ min: 0, max: 1, noNaN: true }),
    isRight: fc.boolean(),
  });
  fc.assert(fc.property(fc.array(prediction), (predictions) => {
    const { expected_calibration_error, bins } = calibrationOf(predictions);
    strictEqual(bins.reduce((sum, { n }) => sum + n, 0), predictions.length);
    ok(expected_calibration_error >= 0 && expected_calibration_error <= 1);
  }));
  const sure = [{ score: 1, isRight: true }, { score: 0, isRight: false }];
  strictEqual(calibrationOf(sure).expected_calibration_error, 0);
  strictEqual(calibrationOf([]).expected_calibration_error, 0);
});

Deno.test("coverageOf() tells how right the surest are", () => {
  // The surest are right: of ten texts with scores from 0.1 to 1, those from 0.5.
  const predictions = Array.from({ length: 10 }, (_, i) => ({
    score: (i + 1) / 10,
    isRight: i >= 4,
  }));
  const points = coverageOf(predictions);
  deepStrictEqual(points[0], { coverage: 1, score: 0.1, accuracy: 0.6 });
  deepStrictEqual(points[5], { coverage: 0.5, score: 0.6, accuracy: 1 });
  deepStrictEqual(points.length, 10);
  deepStrictEqual(coverageOf([]), []);
});
