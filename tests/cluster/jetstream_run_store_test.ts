import { deepStrictEqual } from "node:assert";
import { Cluster } from "../../orchestration/cluster/connection.ts";
import { JetStreamRunStore } from "../../orchestration/cluster/jetstream_run_store.ts";
import { newRun } from "../../orchestration/run_store.ts";
import { testRunStore } from "../support/run_store_contract.ts";
import { clusterTest, NatsServers } from "./nats_servers.ts";

let nats: NatsServers | undefined;
let opened = 0;

Deno.test.afterAll(async () => await nats?.[Symbol.asyncDispose]());

testRunStore("JetStreamRunStore", async () => {
  nats ??= await NatsServers.start(1);
  const cluster = await Cluster.connect({ servers: nats.servers, name: `test${opened++}` });
  const store = await JetStreamRunStore.open(cluster, { devices: [] });
  const close = store.close.bind(store);
  store.close = () => {
    close();
    void cluster[Symbol.asyncDispose]();
  };
  return store;
}, { ...clusterTest, numRuns: 3 });

Deno.test({
  ...clusterTest,
  name: "a worker claims only what asks for a device and a label that it has",
  fn: async () => {
    nats ??= await NatsServers.start(1);
    await using cluster = await Cluster.connect({ servers: nats.servers, name: "labels" });
    using plain = await JetStreamRunStore.open(cluster, { devices: ["wasm"] });
    using labelled = await JetStreamRunStore.open(cluster, {
      devices: ["native"],
      labels: ["big", "gpu"],
    });
    const submit = async (id: string, device: string | undefined, worker_label?: string) => {
      const settings = device === undefined ? {} : { device };
      await plain.create(newRun({ id, name: id, base: "b", dataset: "d", settings, worker_label }));
      await plain.enqueue({ kind: "run", id });
    };
    const claim = async (store: JetStreamRunStore) => {
      const claim = await store.claim(new AbortController().signal);
      await claim?.release();
      return claim?.id;
    };
    await submit("native-big", "native", "big");
    await submit("any-gpu", undefined, "gpu");
    await submit("native", "native");
    await submit("wasm", "wasm");
    const offers = [{ devices: ["wasm"], labels: ["gpu", "b-c"] }];
    deepStrictEqual(await plain.unserved(offers), [
      { device: "native", tasks: 1 },
      { device: "native", label: "big", tasks: 1 },
    ]);
    deepStrictEqual(await claim(plain), "wasm");
    await submit("any", "auto");
    deepStrictEqual(await claim(plain), "any");
    const rest = [await claim(labelled), await claim(labelled), await claim(labelled)];
    deepStrictEqual(rest.sort(), ["any-gpu", "native", "native-big"]);
  },
});
