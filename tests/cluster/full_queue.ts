/**
 * A queue of many runs, and the time that its operations take.
 *
 * @module
 */
import { deepStrictEqual } from "node:assert";
import { TestCluster } from "./disturbed_runs.ts";
import { JetStreamRunStore } from "../../orchestration/cluster/jetstream_run_store.ts";

/** Queues runs, lists pages of them, claims some, and prints the times of each. */
export async function fillQueue(
  { runs, log }: { runs: number; log: (line: string) => void },
): Promise<void> {
  await using cluster = await TestCluster.start();
  const { store } = cluster.member;
  const startedAt = performance.now();
  const names = Array.from({ length: runs }, (_, i) => `run-${i}`);
  while (names.length > 0) {
    await Promise.all(names.splice(0, 100).map((name) => cluster.submit(name, { max_steps: 5 })));
  }
  log(`queued ${runs} runs in ${seconds(startedAt)} s`);
  deepStrictEqual(store.queueLength, runs);
  using other = await JetStreamRunStore.open(cluster.member.cluster, { devices: ["wasm"] });
  const page = async () => {
    const found = [];
    for await (const run of other.newest(undefined, ({ state }) => state === "queued")) {
      found.push(run);
      if (found.length === 50) break;
    }
    deepStrictEqual(found.length, 50);
  };
  log(`a page of 50: ${await times(20, page)}`);
  log(
    `a claim: ${await times(
      100,
      async () => void await other.claim(new AbortController().signal),
    )}`,
  );
  const memory = [mb(Deno.memoryUsage().rss)];
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 500; i++) await page();
    memory.push(mb(Deno.memoryUsage().rss));
  }
  log(`memory, and after each 500 pages more: ${memory.join(", ")} MB`);
}

async function times(count: number, work: () => Promise<void>): Promise<string> {
  const took: number[] = [];
  for (let i = 0; i < count; i++) {
    const startedAt = performance.now();
    await work();
    took.push(performance.now() - startedAt);
  }
  took.sort((a, b) => a - b);
  const at = (share: number) => took[Math.floor(share * (count - 1))]!.toFixed(1);
  return `median ${at(0.5)} ms, 95 % under ${at(0.95)} ms, most ${at(1)} ms`;
}

function seconds(startedAt: number): string {
  return ((performance.now() - startedAt) / 1000).toFixed(1);
}

function mb(bytes: number): number {
  return Math.round(bytes / 1e6);
}
