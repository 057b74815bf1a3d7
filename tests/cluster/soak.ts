/**
 * All the faults that a cluster must survive, to be run by hand: it takes many minutes.
 *
 * ```sh
 * deno task soak:cluster runs      # 40 runs on 4 workers, which are killed again and again
 * deno task soak:cluster nats      # the same while NATS nodes are killed, one after the other
 * deno task soak:cluster servers   # 60 s of load on two servers, while models are published
 * deno task soak:cluster queue     # 10,000 queued runs
 * ```
 *
 * @module
 */
import { disturbRuns } from "./disturbed_runs.ts";
import { loadServers } from "./loaded_servers.ts";
import { fillQueue } from "./full_queue.ts";

const log = (line: string) => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`);
const DISTURBANCE = {
  runs: 40,
  workers: 4,
  maxSteps: 20,
  checkpointsPerWorkerKill: 4,
  leaseSeconds: 10,
  log,
};

const [scene] = Deno.args;
if (scene === "runs") await disturbRuns(DISTURBANCE);
else if (scene === "nats") await disturbRuns({ ...DISTURBANCE, checkpointsPerNatsKill: 20 });
else if (scene === "servers") await loadServers({ seconds: 60, log });
else if (scene === "queue") await fillQueue({ runs: 10_000, log });
else throw new Error(`Cannot play '${scene}': name runs, nats, servers or queue`);
