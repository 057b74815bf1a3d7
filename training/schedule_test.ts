import { deepStrictEqual } from "node:assert";
import { linearSchedule } from "./schedule.ts";

Deno.test("linearSchedule() rises over the warm-up and falls to zero", () => {
  const factors = Array.from({ length: 7 }, (_, step) => linearSchedule(step, 2, 6));
  deepStrictEqual(factors, [0, 0.5, 1, 0.75, 0.5, 0.25, 0]);
});

Deno.test("linearSchedule() starts at one without a warm-up", () => {
  deepStrictEqual([0, 1, 2, 3].map((step) => linearSchedule(step, 0, 4)), [1, 0.75, 0.5, 0.25]);
});
