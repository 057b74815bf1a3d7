import { deepStrictEqual, notDeepStrictEqual, ok } from "node:assert";
import fc from "fast-check";
import { hash, Random } from "./random.ts";

const DRAWS = 100_000;

function draw(count: number, next: () => number): number[] {
  return Array.from({ length: count }, next);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function near(actual: number, expected: number, tolerance: number): void {
  ok(Math.abs(actual - expected) < tolerance, `${actual}, expected about ${expected}`);
}

Deno.test("hash() gives 32-bit unsigned integers, the same ones each time", () => {
  fc.assert(fc.property(fc.array(fc.integer()), (values) => {
    const result = hash(...values);
    ok(Number.isInteger(result) && result >= 0 && result < 2 ** 32, String(result));
    deepStrictEqual(hash(...values), result);
  }));
});

Deno.test("hash() changes each of its bits half of the time from one input to the next", () => {
  for (const inputs of [(i: number) => [i], (i: number) => [11, i], (i: number) => [11, i, 3]]) {
    const changes = Array.from(
      { length: 2000 },
      (_, i) => hash(...inputs(i)) ^ hash(...inputs(i + 1)),
    );
    for (let bit = 0; bit < 32; bit++) {
      near(mean(changes.map((change) => (change >>> bit) & 1)), 0.5, 0.05);
    }
  }
});

Deno.test("hash() depends on the order and number of its inputs", () => {
  const results = [hash(), hash(0), hash(0, 0), hash(1, 2), hash(2, 1), hash(1, 2, 0)];
  deepStrictEqual(new Set(results).size, results.length);
});

Deno.test("Random gives the same stream for the same seeds and another for others", () => {
  const stream = (...seeds: number[]) => {
    const random = new Random(...seeds);
    return draw(20, () => random.uniform());
  };
  deepStrictEqual(stream(11, 3), stream(11, 3));
  for (const other of [stream(11, 4), stream(12, 3), stream(3, 11), stream(11)]) {
    notDeepStrictEqual(other, stream(11, 3));
  }
});

Deno.test("Random.uniform() is spread evenly over [0, 1)", () => {
  const random = new Random(1);
  const values = draw(DRAWS, () => random.uniform());
  ok(values.every((value) => value >= 0 && value < 1));
  near(mean(values), 0.5, 0.005);
  near(mean(values.map((value) => (value - 0.5) ** 2)), 1 / 12, 0.002);
});

Deno.test("Random.integer() gives each integer below the limit equally often", () => {
  const random = new Random(2);
  const counts = new Map<number, number>();
  for (const value of draw(DRAWS, () => random.integer(7))) {
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  deepStrictEqual([...counts.keys()].sort(), [0, 1, 2, 3, 4, 5, 6]);
  for (const count of counts.values()) near(count / DRAWS, 1 / 7, 0.005);
});

Deno.test("Random.normal() has the mean, variance and spread of the standard normal", () => {
  const random = new Random(3);
  const values = draw(DRAWS, () => random.normal());
  near(mean(values), 0, 0.015);
  near(mean(values.map((value) => value ** 2)), 1, 0.02);
  near(mean(values.map((value) => Number(Math.abs(value) < 1))), 0.6827, 0.007);
  near(mean(values.map((value) => Number(Math.abs(value) < 2))), 0.9545, 0.004);
});

Deno.test("Random.shuffle() permutes the array itself", () => {
  fc.assert(fc.property(fc.array(fc.integer()), fc.integer(), (items, seed) => {
    const shuffled = [...items];
    const byValue = (a: number, b: number) => a - b;
    ok(new Random(seed).shuffle(shuffled) === shuffled);
    deepStrictEqual(shuffled.toSorted(byValue), items.toSorted(byValue));
  }));
});

Deno.test("Random.shuffle() gives every order equally often", () => {
  const random = new Random(4);
  const counts = new Map<string, number>();
  for (let i = 0; i < DRAWS; i++) {
    const order = random.shuffle(["a", "b", "c"]).join("");
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  deepStrictEqual([...counts.keys()].sort(), ["abc", "acb", "bac", "bca", "cab", "cba"]);
  for (const count of counts.values()) near(count / DRAWS, 1 / 6, 0.006);
});
