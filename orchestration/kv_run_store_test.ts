import { deepStrictEqual } from "node:assert";
import { KvRunStore } from "./kv_run_store.ts";
import { newRun } from "./run_store.ts";
import { evaluationOf, testRunStore } from "../tests/support/run_store_contract.ts";

testRunStore("KvRunStore", () => KvRunStore.open(":memory:"));

Deno.test("KvRunStore lists what is in an older store", async () => {
  const path = await Deno.makeTempFile();
  try {
    const fields = { settings: {}, base: "bundled", dataset: "sample" };
    const created = (id: string, day: number) =>
      newRun({ id, name: id, created_at: `2026-01-${String(day).padStart(2, "0")}`, ...fields });
    using older = await Deno.openKv(path);
    for (const [id, day] of [["b", 2], ["a", 1]] as const) {
      await older.set(["runs", id], created(id, day));
    }
    await older.set(["evaluations", "1"], evaluationOf("1"));
    using store = await KvRunStore.open(path);
    await store.create(created("c", 3));
    const ids = async (after?: string) =>
      (await Array.fromAsync(
        store.newest(after === undefined ? undefined : await store.get(after)),
      ))
        .map(({ id }) => id);
    deepStrictEqual(await ids(), ["c", "b", "a"]);
    deepStrictEqual(await ids("c"), ["b", "a"]);
    await store.delete("b");
    deepStrictEqual(await ids(), ["c", "a"]);
    deepStrictEqual(await Array.fromAsync(store.newestEvaluations()), [evaluationOf("1")]);
  } finally {
    await Deno.remove(path);
  }
});
