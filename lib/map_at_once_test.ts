import { deepStrictEqual, rejects, strictEqual } from "node:assert";
import { mapAtOnce } from "./map_at_once.ts";

Deno.test("mapAtOnce() keeps the order, and has no more in work than it may", async () => {
  let [inWork, most] = [0, 0];
  const results = await mapAtOnce([5, 1, 4, 2, 3], 2, async (item) => {
    most = Math.max(most, ++inWork);
    await new Promise((resolve) => setTimeout(resolve, item));
    inWork--;
    return 10 * item;
  });
  deepStrictEqual(results, [50, 10, 40, 20, 30]);
  strictEqual(most, 2);
});

Deno.test("mapAtOnce() takes nothing, and tells what fails", async () => {
  deepStrictEqual(await mapAtOnce([], 4, () => Promise.reject(new Error("none"))), []);
  await rejects(mapAtOnce([1], 4, () => Promise.reject(new Error("one"))), { message: "one" });
});
