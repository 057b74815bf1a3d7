import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { TrainSettings } from "./settings.ts";
import { bestOf, newTrials, nextTrials, type TrialResult, type Trials } from "./trials.ts";

const SETTINGS = TrainSettings.parse({ model: "scratch:tiny", metric: "loss", batchSize: 8 });
/** Of 16 examples in batches of 8. */
const EXAMPLES = 16;
const TRIALS = newTrials(SETTINGS, { learningRate: 1e-3, epochs: 8 }, { count: 6, chosen: [] });

function result(trial: number, share: number, value: number): TrialResult {
  return { trial, share, value, steps: 4, seconds: 10 };
}

function search(results: TrialResult[], changes: Partial<Trials> = {}): Trials {
  return { settings: SETTINGS, trials: TRIALS, results, ...changes };
}

/** The trials that come next, with their shares. */
function next(search: Trials): [trial: number, share: number][] {
  return nextTrials(search, EXAMPLES).map(({ trial, share }) => [trial, share]);
}

Deno.test("bestOf() is the best of the trials that got most steps", () => {
  strictEqual(bestOf(search([])), 0);
  strictEqual(bestOf(search([result(0, 0.5, 3), result(1, 0.5, 2), result(2, 0.25, 1)])), 1);
});

Deno.test("nextTrials() halves the trials, and keeps the defaults", () => {
  const results: TrialResult[] = [];
  const seen: [number, number[]][] = [];
  for (let todo; (todo = nextTrials(search(results), EXAMPLES)).length > 0;) {
    seen.push([todo[0]!.share, todo.map(({ trial }) => trial)]);
    // The later a trial, the better.
    for (const { trial, share, steps } of todo) {
      strictEqual(steps, Math.ceil(share * 2 * TRIALS[trial]!.epochs));
      results.push(result(trial, share, -trial));
    }
  }
  deepStrictEqual(seen, [[0.25, [0, 1, 2, 3, 4, 5]], [0.5, [0, 5, 4, 3]], [1, [0, 5, 4]]]);
  strictEqual(bestOf(search(results)), 5);
});

Deno.test("nextTrials() has those that are left of a share, without any that failed", () => {
  deepStrictEqual(next(search([result(0, 0.25, 1), result(4, 0.25, 2)], { failed: [1, 5] })), [
    [2, 0.25],
    [3, 0.25],
  ]);
  deepStrictEqual(next(search([result(2, 0.25, 1)], { failed: [0, 1, 3, 4, 5] })), [[2, 0.5]]);
  deepStrictEqual(next(search([], { failed: [0, 1, 2, 3, 4, 5] })), []);
});

Deno.test("nextTrials() keeps to the minutes once a trial has shown how long they take", () => {
  deepStrictEqual(next(search([], { minutes: 0.01 })), [[0, 0.25]]);
  deepStrictEqual(next(search([result(0, 0.25, 1)], { minutes: 0.01 })), []);
  const some = next(search([result(0, 0.25, 1)], { minutes: 2 })).length;
  ok(some > 0 && some < 5, `${some} trials`);
  strictEqual(next(search([result(0, 0.25, 1)], { minutes: 60 })).length, 5);
});

Deno.test("newTrials() tries nothing twice, and only what is left to choose", () => {
  const defaults = { learningRate: 1e-3, epochs: 8 };
  const chosen = { ...SETTINGS, learningRate: 0.01 };
  const options = { count: 20, chosen: [] };
  const byEpochs = newTrials(chosen, { ...defaults, learningRate: 0.01 }, options);
  deepStrictEqual(byEpochs.map(({ epochs }) => epochs).sort((a, b) => a - b), [4, 8, 12, 16]);
  ok(byEpochs.every(({ learningRate }) => learningRate === 0.01));
  const fixed = { learningRate: 0.01, epochs: 3 };
  deepStrictEqual(newTrials({ ...chosen, epochs: 3 }, fixed, options), [fixed]);
});
