import { deepStrictEqual, rejects, strictEqual } from "node:assert";
import { KvStore } from "./store.ts";

Deno.test("KvStore writes all or nothing, as a key's version is expected", async () => {
  using store = await KvStore.open(":memory:");
  const [a, b] = [["a"], ["b", 1]];
  strictEqual(await store.get(a), undefined);
  strictEqual(await store.put([{ key: a, value: 1 }], [{ key: a, version: undefined }]), true);
  const { value, version } = (await store.get<number>(a))!;
  strictEqual(value, 1);
  const both = [{ key: a, value: 2 }, { key: b, value: 3 }];
  strictEqual(await store.put(both, [{ key: a, version: undefined }]), false);
  deepStrictEqual([(await store.get(a))!.value, await store.get(b)], [1, undefined]);
  strictEqual(await store.put(both, [{ key: a, version }]), true);
  strictEqual(await store.put([{ key: a, value: 4 }], [{ key: a, version }]), false);
  strictEqual(await store.put([{ key: a }]), true);
  strictEqual(await store.get(a), undefined);
});

Deno.test("KvStore lists a range in the order of its keys, numbers by value", async () => {
  using store = await KvStore.open(":memory:");
  const writes = [10, 9, 1, 2].map((number) => ({ key: ["x", number], value: number }));
  await store.put([...writes, { key: ["y", 1], value: 0 }]);
  const values = async (range: Parameters<typeof store.list>[0]) =>
    (await store.list(range)).map(({ value }) => value);
  deepStrictEqual(await values({ prefix: ["x"] }), [1, 2, 9, 10]);
  deepStrictEqual(await values({ prefix: ["x"], start: ["x", 2] }), [2, 9, 10]);
});

Deno.test("KvStore.watch() gives a value, its changes, and ends with the signal", async () => {
  using store = await KvStore.open(":memory:");
  const aborted = new AbortController();
  const seen: unknown[] = [];
  for await (const value of store.watch(["a"], aborted.signal)) {
    seen.push(value);
    if (seen.length < 3) await store.put([{ key: ["a"], value: seen.length }]);
    else aborted.abort();
  }
  deepStrictEqual(seen, [undefined, 1, 2]);
});

Deno.test("KvStore tries again while another process writes, and passes on other errors", async () => {
  const errors = [new Error("database is locked"), new Error("database is locked")];
  const entry = { value: 7, versionstamp: "1" };
  const get = () => errors.length > 0 ? Promise.reject(errors.pop()) : Promise.resolve(entry);
  using store = new KvStore({ get, close() {} } as unknown as Deno.Kv);
  strictEqual((await store.get(["a"]))!.value, 7);
  errors.push(new Error("the disk is full"));
  await rejects(store.get(["a"]), /the disk is full/);
});
