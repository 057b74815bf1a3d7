import { deepStrictEqual, ok, strictEqual } from "node:assert";
import { TrainSettings } from "./settings.ts";
import { bestOf, newTrials, nextTrial, type TrialResult, type Trials } from "./trials.ts";

const SETTINGS = TrainSettings.parse({ model: "scratch:tiny", batchSize: 8 });
/** Of 16 examples in batches of 8. */
const EXAMPLES = 16;
const TRIALS = newTrials(SETTINGS, { learningRate: 1e-3, epochs: 8 }, { count: 6, chosen: [] });

function result(trial: number, share: number, value: number): TrialResult {
  return { trial, share, value, interval: [value - 0.1, value + 0.1], steps: 4, seconds: 10 };
}

function search(results: TrialResult[], changes: Partial<Trials> = {}): Trials {
  return { settings: SETTINGS, trials: TRIALS, results, ...changes };
}

/** The trials of a search from its beginning to its end, such as `3 50`, with these values. */
function run(valueOf: (trial: number, share: number) => number, changes: Partial<Trials> = {}) {
  const results: TrialResult[] = [];
  for (let next; (next = nextTrial(search(results, changes), EXAMPLES)) !== undefined;) {
    const { trial, share, steps } = next;
    strictEqual(steps, Math.ceil(share * 2 * TRIALS[trial]!.epochs));
    // A step takes a second.
    results.push({ ...result(trial, share, valueOf(trial, share)), steps, seconds: steps });
  }
  const order = results.map(({ trial, share }) => `${trial} ${100 * share}`);
  const seconds = results.reduce((sum, { seconds }) => sum + seconds, 0);
  return { order, seconds, best: bestOf(search(results)) };
}

Deno.test("bestOf() is the best that got all steps, if that is more than chance may give", () => {
  strictEqual(bestOf(search([])), 0);
  strictEqual(bestOf(search([result(0, 0.5, 0.2), result(1, 0.5, 0.9)])), 0);
  // The interval of 0.2 is 3.92 standard errors wide.
  strictEqual(bestOf(search([result(0, 1, 0.5), result(1, 1, 0.54), result(2, 1, 0.52)])), 0);
  strictEqual(bestOf(search([result(0, 1, 0.5), result(1, 1, 0.56), result(2, 1, 0.57)])), 2);
  strictEqual(bestOf(search([result(1, 1, 0.3), result(2, 1, 0.2)], { failed: [0] })), 1);
});

Deno.test("bestOf() prefers the smaller error", () => {
  const settings = { ...SETTINGS, problemType: "regression" } as const;
  const results = [result(0, 1, 0.5), result(1, 1, 0.3), result(2, 1, 0.7)];
  strictEqual(bestOf(search(results, { settings })), 1);
});

Deno.test("nextTrial() halves the trials, and keeps the defaults", () => {
  const { order, best } = run((trial) => trial);
  deepStrictEqual(order, [
    ...["0 25", "1 25", "2 25", "3 25", "4 25", "5 25"],
    ...["0 50", "5 50", "4 50", "3 50"],
    ...["0 100", "5 100", "4 100"],
  ]);
  strictEqual(best, 5);
});

Deno.test("nextTrial() leaves out what has failed", () => {
  const { order } = run(() => 0.5, { failed: [0, 1, 3, 4, 5] });
  deepStrictEqual(order, ["2 25", "2 50", "2 100"]);
  deepStrictEqual(run(() => 0.5, { failed: [0, 1, 2, 3, 4, 5] }).order, []);
});

Deno.test("nextTrial() keeps to the minutes, and saves some for the defaults and the best", () => {
  const all = run((trial) => trial).seconds;
  for (const minutes of [0.5, 1, 2, 3, 4, 6, 10]) {
    const { order, seconds } = run((trial) => trial, { minutes });
    // The last run of the longest settings comes on top.
    ok(order.length === 1 || seconds <= 60 * minutes, `${seconds} s of ${minutes} min`);
    const others = order.filter((it) => it.endsWith(" 100") && it !== "0 100");
    ok(order.length === 1 || others.length > 0, order.join(", "));
  }
  deepStrictEqual(run((trial) => trial, { minutes: all / 6 }).seconds, all);
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
