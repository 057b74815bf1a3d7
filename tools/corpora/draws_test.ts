import { deepStrictEqual, ok } from "node:assert";
import { Draws } from "./draws.ts";

Deno.test("Draws depends on nothing but its seed", () => {
  const draw = (seed: number) => {
    const draws = new Draws(seed);
    return Array.from({ length: 20 }, () => draws.integer(1000));
  };
  deepStrictEqual(draw(1), draw(1));
  ok(draw(1).join() !== draw(2).join());
});

Deno.test("weighted() draws items as often as their weights say", () => {
  const draw = new Draws(1).weighted([["never", 0], ["seldom", 1], ["often", 3]]);
  const counts = { never: 0, seldom: 0, often: 0 };
  for (let count = 0; count < 10_000; count++) counts[draw() as keyof typeof counts]++;
  deepStrictEqual(counts.never, 0);
  ok(Math.abs(counts.often / 10_000 - 0.75) < 0.02, `${counts.often} of 10000`);
});
