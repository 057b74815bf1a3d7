import { deepStrictEqual } from "node:assert";
import { quantile } from "./classes.ts";

Deno.test("quantile() interpolates as pandas does", () => {
  deepStrictEqual(quantile([4, 1, 3, 2], 0.7), 3.0999999999999996);
  deepStrictEqual(quantile([5], 0.7), 5);
  deepStrictEqual(quantile([1, 9], 0), 1);
});
