/**
 * `migrate`: copies a server's state and folders into a cluster.
 *
 * @module
 */
import { Command } from "commander";
import { join } from "node:path";
import { DatasetLibrary, SAMPLE } from "../data/dataset_library.ts";
import { exists } from "../lib/files.ts";
import { UserError } from "../lib/user_error.ts";
import { describeClassifier } from "../models/formats/classifier_folder.ts";
import { labelsOf } from "../models/formats/config.ts";
import { Attempts } from "../orchestration/attempts.ts";
import type { ClusterMember } from "../orchestration/cluster/member.ts";
import type { PublishedModel } from "../orchestration/cluster/published_models.ts";
import { KvRunStore } from "../orchestration/kv_run_store.ts";
import { isOver, type Run } from "../orchestration/run_store.ts";
import { lockState, OwnedFolder, STATE_FILE } from "../orchestration/server_state.ts";
import { DEFAULT_ALIAS } from "../serving/model_reference.ts";
import { ModelRegistry } from "../serving/model_registry.ts";
import { KvModelStore } from "../serving/model_store.ts";
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
      "Carry what a stopped server has into a cluster; the same command goes on where it was cut off",
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
  using runs = await KvRunStore.open(kv);
  using models = await KvModelStore.open(kv);
  const { ClusterMember } = await import("../orchestration/cluster/member.ts");
  await using member = await ClusterMember.join({ ...cluster, runsDir }, () => Promise.resolve());

  const datasets = await migrateDatasets(runsDir, member);
  // A model that was finished as the server ended has no version yet.
  await (await ModelRegistry.open({ store: models, runs, runsDir })).list();
  const artifacts = await migrateModels(runsDir, models, member);
  const all = (await runs.list()).reverse();
  for (const run of all) await migrateRun(runsDir, run, runs, member, artifacts.get(run.id));
  const evaluations = (await runs.listEvaluations()).reverse();
  for (const { ...evaluation } of evaluations) {
    const { id } = evaluation;
    const report = join(runsDir, "evaluations", `${id}.json`);
    if (await exists(report)) {
      const dir = await Deno.makeTempDir();
      await Deno.copyFile(report, join(dir, "report.json"));
      const rows = join(runsDir, "evaluations", `${id}.rows.jsonl`);
      if (await exists(rows)) await Deno.copyFile(rows, join(dir, "rows.jsonl"));
      evaluation.artifact = await member.files.storeReport(evaluation, dir);
      await Deno.remove(dir, { recursive: true });
    }
    await member.store.createEvaluation(evaluation);
    if (!isOver(evaluation)) await member.store.enqueue({ kind: "evaluation", id });
  }
  console.log(
    `The cluster has all of '${runsDir}': data sets: ${datasets}, model versions: ${artifacts.size}, ` +
      `runs: ${all.length}, evaluations: ${evaluations.length}`,
  );
}

/** Shares the data sets that the cluster lacks, and returns their number. */
async function migrateDatasets(runsDir: string, { datasets }: ClusterMember): Promise<number> {
  const own = new DatasetLibrary(join(runsDir, "datasets"), () => Promise.resolve());
  const names = (await own.names()).filter((name) => name !== SAMPLE);
  const there = await datasets.names();
  for (const name of names) if (!there.includes(name)) await datasets.share(name);
  return names.length;
}

/** Publishes the models with their numbers and aliases; returns the artifacts of their folders. */
async function migrateModels(
  runsDir: string,
  store: KvModelStore,
  { files, models }: ClusterMember,
): Promise<Map<string, string>> {
  const artifacts = new Map<string, string>();
  const byName = new Map<string, PublishedModel>();
  for (const { name, version, folder, finished_at, deleted } of await store.versions()) {
    const dir = join(runsDir, folder);
    if (!await exists(dir)) continue;
    const known = models.ofFolder(folder)?.artifact;
    const artifact = known ?? await files.storeModel({ id: folder, attempt: 0 } as Run, dir);
    artifacts.set(folder, artifact);
    const model = byName.get(name) ?? { name, versions: [], aliases: {} };
    const labels = labelsOf((await describeClassifier(dir)).config);
    model.versions.push({
      ...{ version, folder, finished_at, artifact, labels },
      ...deleted && { deleted },
    });
    byName.set(name, model);
  }
  for (const model of byName.values()) await models.restore(model);
  for (const { name, alias, versions } of await store.aliases()) {
    if (alias === DEFAULT_ALIAS) await models.setDefault(name, versions);
    else await models.setAlias(name, alias, versions);
  }
  return artifacts;
}

/** Writes a run with its events; an unfinished one is queued, with its last checkpoint. */
async function migrateRun(
  runsDir: string,
  run: Run,
  from: KvRunStore,
  { store, files }: ClusterMember,
  model: string | undefined,
): Promise<void> {
  const events = await from.eventsSoFar(run.id, 0);
  const attempt = new Attempts(runsDir, run.id).dirOf(run.attempt);
  const checkpoint = model === undefined && await exists(attempt)
    ? await files.storeCheckpoint(run, attempt)
    : undefined;
  const artifacts = { checkpoint, ...model !== undefined && { model } };
  await store.restore({ ...run, artifacts }, events);
  if (!isOver(run)) await store.enqueue({ kind: "run", id: run.id });
}
