/**
 * `migrate`: copies a server's state and folders into a cluster.
 *
 * @module
 */
import { Command } from "commander";
import { join } from "node:path";
import { exists } from "../lib/files.ts";
import { UserError } from "../lib/user_error.ts";
import { lockState, OwnedFolder, STATE_FILE } from "../orchestration/server_state.ts";
import { migrateServer } from "../serving/cluster_migration.ts";
import { RUNS_DIR } from "../training/folder/run_folder.ts";
import { addClusterOptions, type ClusterFlags, memberOptions } from "./cluster_options.ts";

interface Options extends ClusterFlags {
  runs: string;
  kv?: string;
}

/** The command and its options. */
export function migrateCommand(): Command {
  return addClusterOptions(new Command("migrate"))
    .description(
      "Copy a stopped server's state and files into a cluster; run it again to resume",
    )
    .option("--runs <dir>", "Folder of the server's runs", RUNS_DIR)
    .option("--kv <file>", "File of its state; default: state.kv in --runs")
    .action(migrate);
}

async function migrate(options: Options): Promise<void> {
  const cluster = memberOptions(options);
  if (cluster === undefined) throw new UserError("Cannot find the cluster: name it with --cluster");
  const { runs: runsDir } = options;
  const kv = options.kv ?? join(runsDir, STATE_FILE);
  if (!await exists(kv)) throw new UserError(`Cannot find the state of a server in '${kv}'`);
  using _folder = await OwnedFolder.take(runsDir);
  using _state = await lockState(kv);
  const { ClusterMember } = await import("../orchestration/cluster/member.ts");
  await using member = await ClusterMember.join({ ...cluster, runsDir }, () => Promise.resolve());
  const { datasets, modelVersions, runs, evaluations } = await migrateServer(runsDir, kv, member);
  console.log(
    `The cluster has all of '${runsDir}': data sets: ${datasets}, model versions: ${modelVersions}, ` +
      `runs: ${runs}, evaluations: ${evaluations}`,
  );
}
