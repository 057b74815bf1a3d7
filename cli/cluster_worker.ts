/**
 * `worker --cluster`: runs the training and evaluation jobs that the servers of a cluster queue.
 *
 * @module
 */
import { ClusterMember } from "../orchestration/cluster/member.ts";
import { Workers } from "../orchestration/cluster/workers.ts";
import { Ingestion } from "../orchestration/ingestion.ts";
import { spawnWorker } from "../orchestration/job_process.ts";
import { OwnedFolder } from "../orchestration/server_state.ts";
import { Supervisor } from "../orchestration/supervisor.ts";
import { UserError } from "../lib/user_error.ts";
import { writeLine } from "../lib/write_line.ts";
import { chooseDevice, DEVICES } from "../onnx/runtime/device.ts";
import type { ClusterFlags } from "./cluster_options.ts";
import { memberOptions } from "./cluster_options.ts";

/** The options of a worker. */
export interface ClusterWorkerFlags extends ClusterFlags {
  cluster: string;
  name?: string;
  runs: string;
  device?: string[];
  labels: string[];
  tasks: number;
  lease: number;
  heartbeatTimeout: number;
}

/** How long a worker keeps working without the cluster. */
const PATIENCE_MS = 24 * 3600_000;

/**
 * Works until a signal ends it.
 *
 * @throws {UserError} If another worker has taken over one of its tasks: whatever stopped or cut off
 * this process for that long, a new one starts from a known state.
 */
export async function runClusterWorker(flags: ClusterWorkerFlags): Promise<void> {
  const { runs, labels, tasks, lease, heartbeatTimeout } = flags;
  using folder = await OwnedFolder.take(runs);
  const { dir: runsDir } = folder;
  const devices = await devicesOf(flags.device);
  await using member = await ClusterMember.join({
    ...memberOptions(flags)!,
    runsDir,
    offer: { devices, labels },
    leaseMs: lease * 1000,
    patienceMs: PATIENCE_MS,
  }, (dataset, signal) => new Ingestion().run(dataset, signal));
  const { store, datasets, files, cluster } = member;
  const name = flags.name ?? `worker-${crypto.randomUUID().slice(0, 8)}`;
  await using _listed = (await Workers.open(cluster)).register({
    name,
    devices,
    labels,
    cores: navigator.hardwareConcurrency,
    memory_bytes: Deno.systemMemoryInfo().total,
    tasks,
    started_at: new Date().toISOString(),
  });
  const { promise: replaced, resolve: onReplaced } = Promise.withResolvers<Error>();
  await using supervisor = new Supervisor({
    store,
    runsDir,
    datasetDir: (name) => datasets.dirOf(name),
    workers: tasks,
    // There is no server on this machine, or the worker was started with `nice`.
    spawn: (job) => spawnWorker(job, { lowPriority: false }),
    heartbeatTimeoutMs: heartbeatTimeout * 1000,
    files,
    onReplaced,
  });
  writeLine(Deno.stderr, `Working as ${name} on ${devices.join(", ")} for ${cluster.server.name}`);
  const { promise: told, resolve } = Promise.withResolvers<void>();
  const stop = () => resolve();
  Deno.addSignalListener("SIGINT", stop);
  Deno.addSignalListener("SIGTERM", stop);
  const reason = await Promise.race([told, replaced]);
  cluster.hurry();
  // Its runs resume elsewhere from their last checkpoints.
  await supervisor.close();
  if (reason === undefined) return;
  throw new UserError(
    `${reason.message}, as nothing was heard of this worker for longer than its lease of ${lease} s; ` +
      "it ends, to be started again",
  );
}

/** The devices of this machine, or the wanted ones among them. */
async function devicesOf(wanted: readonly string[] = DEVICES): Promise<string[]> {
  const devices: string[] = [];
  for (const device of DEVICES) {
    if (!wanted.includes(device)) continue;
    if (await chooseDevice(device).then(() => true, () => false)) devices.push(device);
  }
  return devices;
}
