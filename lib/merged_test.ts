import { deepStrictEqual } from "node:assert/strict";
import fc from "fast-check";
import { merged } from "./merged.ts";

async function* each<Item>(items: readonly Item[]): AsyncGenerator<Item> {
  for (const item of items) {
    await Promise.resolve();
    yield item;
  }
}

Deno.test("merged() yields all items in their order, those of the first first", async () => {
  const numbers = fc.array(fc.integer({ min: 0, max: 9 })).map((list) => list.sort());
  await fc.assert(fc.asyncProperty(numbers, numbers, async (a, b) => {
    const of = (from: string, list: number[]) => each(list.map((n) => ({ n, from })));
    const found = await Array.fromAsync(merged(of("a", a), of("b", b), (x, y) => x.n - y.n));
    const expected = [...a.map((n) => ({ n, from: "a" })), ...b.map((n) => ({ n, from: "b" }))];
    deepStrictEqual(found, expected.sort((x, y) => x.n - y.n));
  }));
});
