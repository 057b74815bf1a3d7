import type { KV } from "@nats-io/kv";
import { deepStrictEqual, ok, rejects } from "node:assert";
import { Cluster } from "../../orchestration/cluster/connection.ts";
import { WatchedBucket } from "../../orchestration/cluster/watched_bucket.ts";
import { pause } from "./disturbed_runs.ts";
import { clusterTest, NatsServers } from "./nats_servers.ts";

/** A member of a cluster, whose watches can be made to say nothing any more. */
class HardOfHearing {
  /** The number of watches, of those that begin next, that stay silent. */
  silent = 0;
  #stop = () => {};

  constructor(cluster: Cluster) {
    const bucketOf = cluster.bucket.bind(cluster);
    cluster.bucket = async (name, options) => {
      const bucket = await bucketOf(name, options);
      const watch = bucket.watch.bind(bucket);
      bucket.watch = (async (options) => {
        const changes = await watch(options);
        this.#stop = () => changes.stop();
        if (this.silent-- > 0) this.deafen();
        return changes;
      }) satisfies KV["watch"];
      return bucket;
    };
  }

  /** Ends what the last watch has to say. */
  deafen(): void {
    this.#stop();
  }
}

/** Opens a bucket as two members do; one of them is hard of hearing. */
async function withTwo(
  test: (members: { hearing: HardOfHearing; deaf: Cluster; other: Cluster }) => Promise<void>,
): Promise<void> {
  await using nats = await NatsServers.start(1);
  await using deaf = await Cluster.connect({ servers: nats.servers });
  await using other = await Cluster.connect({ servers: nats.servers });
  await test({ hearing: new HardOfHearing(deaf), deaf, other });
}

function open(cluster: Cluster, checkMs = 50): Promise<WatchedBucket<number>> {
  return WatchedBucket.open<number>(cluster, "numbers", (it) => it, { checkMs });
}

Deno.test({
  ...clusterTest,
  name: "WatchedBucket.open() reads all values, though the first watches send none",
  fn: () =>
    withTwo(async ({ hearing, deaf, other }) => {
      const written = await open(other);
      for (const key of ["a", "b", "c"]) await written.create(key, 1);
      await written.delete("c");
      hearing.silent = 2;
      const read = await open(deaf);
      deepStrictEqual([...read.entries()].sort(), [["a", 1], ["b", 1]]);
      hearing.silent = Infinity;
      await rejects(open(deaf, 1), { name: "StoreUnavailableError" });
      written.close();
      read.close();
    }),
});

Deno.test({
  ...clusterTest,
  name: "a bucket hears of changes again, though its watch has gone silent",
  fn: () =>
    withTwo(async ({ hearing, deaf, other }) => {
      const written = await open(other);
      await written.create("a", 1);
      await written.create("b", 1);
      const read = await open(deaf);
      const heard: string[] = [];
      using _listening = read.listen((key, value) => heard.push(`${key} ${value}`));
      hearing.silent = 2;
      hearing.deafen();
      await written.update("a", () => 2);
      await written.delete("b");
      const deadline = performance.now() + 20_000;
      while (heard.length < 2) {
        ok(performance.now() < deadline, heard.join());
        await pause(20);
      }
      deepStrictEqual([...read.entries()], [["a", 2]]);
      deepStrictEqual(new Set(heard), new Set(["a 2", "b undefined"]));
      written.close();
      read.close();
    }),
});
