import { deepStrictEqual } from "node:assert/strict";
import { figureOf, inTurn } from "./part.ts";

Deno.test("inTurn() lets everyone measure once a round", async () => {
  const order: string[] = [];
  const contestant = (name: string) => () => Promise.resolve(order.push(name));
  const results = await inTurn(2, { a: contestant("a"), b: contestant("b") });
  deepStrictEqual(order, ["a", "b", "a", "b"]);
  deepStrictEqual(results, { a: [1, 3], b: [2, 4] });
});

Deno.test("figureOf() is the median, or says why there is none", () => {
  deepStrictEqual(figureOf([3, 1, 100], "not there"), 3);
  deepStrictEqual(figureOf([undefined, undefined], "not there"), "not there");
  deepStrictEqual(figureOf([], "not there"), "not there");
});
