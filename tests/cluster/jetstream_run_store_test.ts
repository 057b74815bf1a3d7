import { Cluster } from "../../orchestration/cluster/connection.ts";
import { JetStreamRunStore } from "../../orchestration/cluster/jetstream_run_store.ts";
import { testRunStore } from "../../orchestration/run_store_contract.ts";
import { clusterTest, NatsServers } from "./nats_servers.ts";

let nats: NatsServers | undefined;
let opened = 0;

Deno.test.afterAll(async () => await nats?.[Symbol.asyncDispose]());

testRunStore("JetStreamRunStore", async () => {
  nats ??= await NatsServers.start(1);
  const cluster = await Cluster.connect({ servers: nats.servers, name: `test${opened++}` });
  const store = await JetStreamRunStore.open(cluster, ["auto"]);
  const close = store.close.bind(store);
  store.close = () => {
    close();
    void cluster[Symbol.asyncDispose]();
  };
  return store;
}, { ...clusterTest, numRuns: 3 });
