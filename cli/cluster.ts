/**
 * `cluster`: shows a cluster, and distributes models and data to its members.
 *
 * @module
 */
import Table from "cli-table3";
import { Command } from "commander";
import { basename, resolve } from "node:path";
import { readJson } from "../lib/files.ts";
import { UserError } from "../lib/user_error.ts";
import type { ClusterMember } from "../orchestration/cluster/member.ts";
import { API_KEYS, ApiKeyFile } from "../routes/access.ts";
import { addClusterOptions, type ClusterFlags, memberOptions } from "./cluster_options.ts";

/** The command with its sub-commands. */
export function clusterCommand(): Command {
  const command = new Command("cluster").description("Inspect a cluster; publish models and keys");
  addClusterOptions(command.command("status"))
    .description("Show the NATS server, workers, queue, runs and models")
    .option("--json", "Print JSON on standard output")
    .action((flags: ClusterFlags & { json?: true }) => withMember(flags, (it) => show(it, flags)));
  addClusterOptions(command.command("publish <dir>"))
    .description("Publish a model's folder to all servers, as a new version of its name")
    .option("--name <name>", "Name of the model; default: that of the folder")
    .option("--promote", "Serve the new version under the name")
    .action((dir: string, flags: ClusterFlags & { name?: string; promote?: true }) =>
      withMember(flags, async ({ files }) => {
        const name = flags.name ?? basename(resolve(dir));
        await files.publishFolder(name, crypto.randomUUID(), dir, flags.promote);
        console.log(`Published '${dir}' as a version of '${name}'`);
      })
    );
  addClusterOptions(command.command("keys <file>"))
    .description(
      "Publish the API keys of a file to all servers; --api-key-file takes the same file",
    )
    .action((file: string, flags: ClusterFlags) =>
      withMember(flags, async ({ config }) => {
        const keys = await readJson(file, ApiKeyFile);
        await config.update(API_KEYS, () => keys);
        console.log(`All servers take these keys: ${keys.keys.map(({ name }) => name).join(", ")}`);
      })
    );
  return command;
}

/** How long a command waits for nodes that elect a leader, as they do when one of them has ended. */
const PATIENCE_MS = 30_000;

/** Runs a task as a member of the cluster, with a temporary folder. */
async function withMember(
  flags: ClusterFlags,
  work: (member: ClusterMember) => Promise<void>,
): Promise<void> {
  const options = memberOptions(flags);
  if (options === undefined) throw new UserError("Cannot find the cluster: name it with --cluster");
  const { ClusterMember } = await import("../orchestration/cluster/member.ts");
  const runsDir = await Deno.makeTempDir();
  try {
    await using member = await ClusterMember.join(
      { ...options, runsDir, patienceMs: PATIENCE_MS },
      () => Promise.resolve(),
    );
    await work(member);
  } finally {
    await Deno.remove(runsDir, { recursive: true });
  }
}

async function show(
  { cluster, store, models, datasets }: ClusterMember,
  { json }: { json?: true },
): Promise<void> {
  const { Workers } = await import("../orchestration/cluster/workers.ts");
  const workers = (await (await Workers.open(cluster)).list())
    .sort((a, b) => a.name < b.name ? -1 : 1);
  const runs: Record<string, number> = {};
  for (const { state } of await store.summaries()) runs[state] = (runs[state] ?? 0) + 1;
  const status = {
    nats: { connected_to: cluster.server.name, ...await cluster.storage() },
    workers,
    queue: { ...await store.queueState(), unserved: await store.unserved(workers) },
    runs,
    models: models.all().length,
    datasets: (await datasets.names()).length,
  };
  if (json) {
    console.log(JSON.stringify(status));
    return;
  }
  const table = new Table({
    head: ["worker", "devices", "labels", "cores", "memory", "tasks"],
    style: { head: [] },
  });
  for (const { name, devices, labels, cores, memory_bytes, tasks } of workers) {
    const memory = `${(memory_bytes / 1e9).toFixed(1)} GB`;
    table.push([name, devices.join(", "), labels.join(", "), cores, memory, tasks]);
  }
  const { nats, queue } = status;
  console.log(`NATS: ${nats.nodes.join(", ")}; connected to ${nats.connected_to}`);
  console.log(
    `Stored: ${(nats.bytes / 1e6).toFixed(1)} MB, of that artifacts ${
      (nats.artifact_bytes / 1e6).toFixed(1)
    } MB`,
  );
  console.log(`Queue: ${queue.waiting} wait, ${queue.leased} are leased to workers`);
  if (queue.unserved.length > 0) {
    const asked = queue.unserved.map(({ device, label, tasks }) => {
      const wanted = [
        ...device === "auto" ? [] : [`the device ${device}`],
        ...label === undefined ? [] : [`the label ${label}`],
      ];
      return `${tasks} that ${tasks === 1 ? "asks" : "ask"} for ${
        wanted.join(" and ") || "any device"
      }`;
    });
    console.log(`No worker takes: ${asked.join("; ")}`);
  }
  const states = Object.entries(runs).map(([state, count]) => `${count} ${state}`).join(", ");
  console.log(`Runs: ${states === "" ? "none" : states}`);
  console.log(`Models: ${status.models}; data sets: ${status.datasets}`);
  console.log(workers.length === 0 ? "No worker is there" : `${table}`);
}
