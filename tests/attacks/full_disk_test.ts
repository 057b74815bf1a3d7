/**
 * A full disk: predictions go on, and the reported state of runs stays true.
 *
 * @module
 */
import { deepStrictEqual, match, strictEqual } from "node:assert";
import { KvStore, type Store } from "../../orchestration/store.ts";
import { KvRunStore } from "../../orchestration/kv_run_store.ts";
import { LocalServer } from "../support/local_server.ts";
import { pause } from "./attacked_server.ts";

/** A store that accepts nothing while the disk is full. */
class FullStore implements Store {
  isFull = false;
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  get: Store["get"] = (key) => this.#store.get(key);
  list: Store["list"] = (range) => this.#store.list(range);
  watch: Store["watch"] = (key, signal) => this.#store.watch(key, signal);
  put: Store["put"] = (writes, expected) => {
    if (this.isFull) return Promise.reject(new Error("database or disk is full"));
    return this.#store.put(writes, expected);
  };

  [Symbol.dispose](): void {
    this.#store[Symbol.dispose]();
  }
}

Deno.test("a run whose end could not be written down is over when there is room again", async () => {
  const full = new FullStore(await KvStore.open(":memory:"));
  const dying = Promise.withResolvers<void>();
  await using server = await LocalServer.start({
    seeds: { titles: 1 },
    store: new KvRunStore(full),
    spawn: () => {
      dying.resolve();
      return new Deno.Command("deno", {
        args: ["eval", "console.log(JSON.stringify({ type: 'error', message: 'no room' }))"],
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    },
  });
  const { id } = await server.post<{ id: string }>("/v1/runs", { dataset: "sample" }, 202);
  await dying.promise;
  full.isFull = true;
  await pause(1000);
  const { state } = await (await server.app.request(`/v1/runs/${id}`)).json();
  strictEqual(state, "running");
  for (
    const [path, body] of [
      ["/v1/runs", { dataset: "sample" }],
      ["/v1/evaluations", { dataset: "sample", model: "titles" }],
      [`/v1/runs/${id}/cancel`, {}],
    ] as const
  ) {
    const response = await server.send("POST", path, body);
    deepStrictEqual([path, response.status], [path, 507]);
    match((await response.json()).error, /No space is left on the server's disk/);
  }
  await server.post("/predict", { inputs: "a duet", model: "titles" });
  full.isFull = false;
  for (let run = { state, error: "" }; run.state !== "failed"; await pause(50)) {
    run = await (await server.app.request(`/v1/runs/${id}`)).json();
    if (run.state === "failed") strictEqual(run.error, "no room");
  }
  const response = await server.app.request(`/v1/runs/${id}`, { method: "DELETE" });
  strictEqual(response.status, 204);
});
