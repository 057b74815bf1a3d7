/**
 * A queue of many runs, and the time that its operations take.
 *
 * @module
 */
import { deepStrictEqual } from "node:assert";
import { join } from "node:path";
import { Server } from "../../bench/server.ts";
import { Cluster } from "../../orchestration/cluster/connection.ts";
import { JetStreamRunStore } from "../../orchestration/cluster/jetstream_run_store.ts";
import { TestCluster } from "./disturbed_runs.ts";

/** The number of runs in a page. */
const PAGE = 50;
/** The number of pages after which the memory of the server is read again. */
const PAGES_PER_READING = 500;

/**
 * Queues runs, starts a server, asks it for pages of them over HTTP, claims some as a worker does,
 * and prints the times of each, with the server's memory.
 */
export async function fillQueue(
  { runs, log }: { runs: number; log: (line: string) => void },
): Promise<void> {
  await using cluster = await TestCluster.start();
  const { servers } = cluster.nats;
  let startedAt = performance.now();
  const names = Array.from({ length: runs }, (_, i) => `run-${i}`);
  while (names.length > 0) {
    await Promise.all(names.splice(0, 100).map((name) => cluster.submit(name, { max_steps: 5 })));
  }
  log(`queued ${runs} runs in ${seconds(startedAt)} s`);
  startedAt = performance.now();
  const flags = ["--no-ui", "--cluster", servers];
  await using server = await Server.start(join(cluster.dir, "server"), "wasm", flags);
  log(`a server answers after ${seconds(startedAt)} s`);
  const metric = async (name: string) => (await server.metrics())(name);
  deepStrictEqual(await metric("graft_job_queue_length"), runs);

  /** Asks for a page, and returns its number of runs and the last one if there are more. */
  const page = async (query = ""): Promise<{ count: number; next: string | null }> => {
    const response = await fetch(`${server.url}/v1/runs?limit=${PAGE}${query}`);
    deepStrictEqual(response.status, 200);
    const { runs, next } = await response.json();
    return { count: runs.length, next };
  };
  let last: string | null = null;
  /** Turns to the next page; after the last one comes the first. */
  const turn = async () => {
    ({ next: last } = await page(last === null ? "" : `&after=${last}`));
  };
  const filtered = async (query: string, expected: number) =>
    deepStrictEqual((await page(query)).count, expected);
  log(`the first page of ${PAGE}: ${await times(20, () => filtered("", PAGE))}`);
  log(`the next pages, to the last: ${await times(runs / PAGE, turn)}`);
  deepStrictEqual(last, null);
  log(`a page of queued runs: ${await times(20, () => filtered("&state=queued", PAGE))}`);
  log(`a run by its name: ${await times(20, () => filtered(`&name=run-${runs - 1}`, 1))}`);
  log(`a page without runs: ${await times(20, () => filtered("&state=failed", 0))}`);

  const memory = async () => Math.round(await metric("process_resident_memory_bytes") / 1e6);
  const readings = [await memory()];
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < PAGES_PER_READING; i++) await turn();
    readings.push(await memory());
  }
  log(`the server's memory, and after every ${PAGES_PER_READING} pages: ${readings.join(", ")} MB`);

  await using connection = await Cluster.connect({ servers });
  using worker = await JetStreamRunStore.open(connection, { devices: ["wasm"] });
  const { signal } = new AbortController();
  log(`a claim: ${await times(100, async () => void await worker.claim(signal))}`);
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
