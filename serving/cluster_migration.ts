/**
 * Copies a server's state and folders into a cluster.
 *
 * @module
 */
import { join } from "node:path";
import { DatasetLibrary, SAMPLE } from "../data/dataset_library.ts";
import { exists } from "../lib/files.ts";
import { describeClassifier } from "../models/formats/classifier_folder.ts";
import { labelsOf } from "../models/formats/config.ts";
import { Attempts } from "../orchestration/attempts.ts";
import type { ClusterMember } from "../orchestration/cluster/member.ts";
import type { PublishedModel } from "../orchestration/cluster/published_models.ts";
import {
  evaluationFiles,
  REPORTS_DIR,
  SHARED_REPORT,
  SHARED_ROWS,
} from "../orchestration/evaluation_work.ts";
import { KvRunStore } from "../orchestration/kv_run_store.ts";
import { type Evaluation, isOver, type Run } from "../orchestration/run_store.ts";
import { DEFAULT_ALIAS } from "./model_reference.ts";
import { ModelRegistry } from "./model_registry.ts";
import { KvModelStore } from "./model_store.ts";

/** The numbers of things that a cluster has after a migration. */
export interface Migrated {
  datasets: number;
  modelVersions: number;
  runs: number;
  evaluations: number;
}

/**
 * Copies all that a server has and the cluster lacks. The server must be stopped. Once cut off, it
 * can be done again.
 *
 * @param runsDir The folder of the server's runs.
 * @param kv The file of the server's state.
 */
export async function migrateServer(
  runsDir: string,
  kv: string,
  member: ClusterMember,
): Promise<Migrated> {
  using runs = await KvRunStore.open(kv);
  using models = await KvModelStore.open(kv);
  const datasets = await migrateDatasets(runsDir, member);
  // A model that was finished as the server ended has no version yet.
  await (await ModelRegistry.open({ store: models, runs, runsDir })).list();
  const artifacts = await migrateModels(runsDir, models, member);
  const all = (await runs.list()).reverse();
  for (const run of all) await migrateRun(runsDir, run, runs, member, artifacts.get(run.id));
  const evaluations = (await runs.listEvaluations()).reverse();
  for (const evaluation of evaluations) await migrateEvaluation(runsDir, evaluation, member);
  return {
    datasets,
    modelVersions: artifacts.size,
    runs: all.length,
    evaluations: evaluations.length,
  };
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
    const artifact = known ?? await files.storeModel({ id: folder, attempt: 0 }, dir);
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

/** Writes an evaluation with its report; an unfinished one is queued. */
async function migrateEvaluation(
  runsDir: string,
  evaluation: Evaluation,
  { store, files }: ClusterMember,
): Promise<void> {
  const { id } = evaluation;
  const { report, rows } = evaluationFiles(join(runsDir, REPORTS_DIR), id);
  let artifact: string | undefined;
  if (await exists(report)) {
    const dir = await Deno.makeTempDir();
    await Deno.copyFile(report, join(dir, SHARED_REPORT));
    if (await exists(rows)) await Deno.copyFile(rows, join(dir, SHARED_ROWS));
    artifact = await files.storeReport(evaluation, dir);
    await Deno.remove(dir, { recursive: true });
  }
  await store.createEvaluation({ ...evaluation, ...artifact !== undefined && { artifact } });
  if (!isOver(evaluation)) await store.enqueue({ kind: "evaluation", id });
}
