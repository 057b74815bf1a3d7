/**
 * The files of a cluster's runs, data sets and evaluations, which are carried between this
 * machine's disk and the storage that all members share.
 *
 * @module
 */
import { basename, join } from "node:path";
import {
  DatasetExistsError,
  DatasetLibrary,
  type Ingest,
  SAMPLE,
} from "../../data/dataset_library.ts";
import { evaluationFile } from "../../data/dataset.ts";
import { removeFolder } from "../../lib/files.ts";
import { UserError } from "../../lib/user_error.ts";
import { labelsOf } from "../../models/formats/config.ts";
import { describeClassifier } from "../../models/formats/classifier_folder.ts";
import { CHECKPOINTS_DIR, copyCheckpoints } from "../../training/folder/checkpoints.ts";
import { TRAINING_ARGS_FILE } from "../../training/folder/training_args.ts";
import type { RunFiles } from "../run_files.ts";
import type { Evaluation, Run } from "../run_store.ts";
import { ArtifactError, type Artifacts, type FetchedFolders } from "./artifacts.ts";
import type { Cluster } from "./connection.ts";
import { keyOf, type PublishedModels } from "./published_models.ts";
import { WatchedBucket } from "./watched_bucket.ts";

/** Carries files for the supervisor. */
export class ClusterFiles implements RunFiles {
  readonly #artifacts: Artifacts;
  readonly #models: PublishedModels;
  readonly #datasets: ClusterDatasets;
  readonly #folders: FetchedFolders;
  readonly #runsDir: string;

  constructor(
    artifacts: Artifacts,
    models: PublishedModels,
    datasets: ClusterDatasets,
    folders: FetchedFolders,
    runsDir: string,
  ) {
    this.#artifacts = artifacts;
    this.#models = models;
    this.#datasets = datasets;
    this.#folders = folders;
    this.#runsDir = runsDir;
  }

  /** Brings a published model into its folder, whose name stands for the model everywhere. */
  async bringModel(folder: string): Promise<string> {
    const version = this.#models.ofFolder(folder);
    if (version === undefined) throw new UserError(`There is no model '${folder}' in the cluster`);
    const dir = join(this.#runsDir, folder);
    await this.#folders.bring(version.artifact, dir);
    return dir;
  }

  async bringInputs(
    { dataset, base }: Run,
  ): Promise<{ dataDir: string; base: string } & Disposable> {
    const dataDir = await this.#datasets.bring(dataset);
    // A model of the cluster is known by its folder's name, wherever that is.
    const isPublished = this.#models.ofFolder(basename(base)) !== undefined;
    const inputs = { dataDir, base: isPublished ? await this.bringModel(basename(base)) : base };
    return { ...inputs, ...this.#hold(dataDir, inputs.base) };
  }

  async bringCheckpoint({ id, artifacts }: Run, dir: string): Promise<boolean> {
    await removeFolder(dir);
    if (artifacts?.checkpoint === undefined) {
      await Deno.mkdir(dir, { recursive: true });
      return false;
    }
    try {
      await this.#artifacts.fetch(artifacts.checkpoint, dir);
      return true;
    } catch (error) {
      if (!(error instanceof ArtifactError)) throw error;
      console.error(`Cannot go on with run '${id}', so it begins anew: ${error.message}`);
      await Deno.mkdir(dir, { recursive: true });
      return false;
    }
  }

  async storeCheckpoint(
    { id, attempt, artifacts }: Run,
    dir: string,
  ): Promise<string | undefined> {
    // Training goes on, and would remove files while they are being sent.
    const copy = `${dir}.sending`;
    try {
      await removeFolder(copy);
      if (!await copyCheckpoints(dir, copy)) return undefined;
      await Deno.copyFile(join(dir, TRAINING_ARGS_FILE), join(copy, TRAINING_ARGS_FILE));
      const before = artifacts?.checkpoint;
      return await this.#artifacts.store(copy, `runs/${id}/${attempt}`, { before });
    } finally {
      await removeFolder(copy);
    }
  }

  async storeModel({ id, attempt }: Pick<Run, "id" | "attempt">, dir: string): Promise<string> {
    const isWanted = (path: string) => !path.startsWith(`${CHECKPOINTS_DIR}/`) && path !== "lock";
    return await this.#artifacts.store(dir, `models/${id}/${attempt}`, { isWanted });
  }

  async publish({ id, name, promote, artifacts }: Run): Promise<void> {
    await this.publishArtifact(name, id, artifacts!.model!, promote);
  }

  /** Publishes stored files as a version of a model. */
  async publishArtifact(
    name: string,
    folder: string,
    artifact: string,
    promote = false,
  ): Promise<void> {
    const dir = join(this.#runsDir, folder);
    await this.#folders.bring(artifact, dir);
    const { config } = await describeClassifier(dir);
    const finished_at = new Date().toISOString();
    const version = { folder, finished_at, artifact, labels: labelsOf(config) };
    await this.#models.publish(name, version, { promote });
  }

  /** Stores a folder that holds a model, and publishes it as a version. */
  async publishFolder(name: string, folder: string, dir: string, promote = false): Promise<void> {
    await describeClassifier(dir);
    const artifact = await this.storeModel({ id: folder, attempt: 0 }, dir);
    await this.publishArtifact(name, folder, artifact, promote);
  }

  async dropCheckpoint(name: string, replacedBy?: string): Promise<void> {
    try {
      await this.#artifacts.delete(name, replacedBy);
    } catch (error) {
      // Only its disk space is lost.
      console.error(`Cannot remove the checkpoint '${name}': ${(error as Error).message}`);
    }
  }

  async remove({ artifacts, id }: Run): Promise<void> {
    if (artifacts?.checkpoint !== undefined) {
      await this.#artifacts.delete(artifacts.checkpoint).catch(() => {});
    }
    for (const { name, versions } of this.#models.all()) {
      for (const { folder, version } of versions) {
        if (folder === id) await this.#models.remove(name, version);
      }
    }
    if (artifacts?.model !== undefined) await this.#artifacts.delete(artifacts.model);
  }

  async bringEvaluated(
    { dataset, job }: Evaluation,
  ): Promise<{ modelDir: string; file: string } & Disposable> {
    const modelDir = await this.bringModel(basename(job.modelDir));
    const dataDir = await this.#datasets.bring(dataset);
    return { modelDir, file: await evaluationFile(dataDir), ...this.#hold(modelDir, dataDir) };
  }

  async storeReport({ id }: Evaluation, dir: string): Promise<string> {
    return await this.#artifacts.store(dir, `evaluations/${id}`);
  }

  async bringReport(name: string, dir: string): Promise<void> {
    await this.#folders.bring(name, dir);
  }

  /** Keeps folders while a task needs them. */
  #hold(...dirs: string[]): Disposable {
    const held = new DisposableStack();
    for (const dir of dirs) held.use(this.#folders.hold(dir));
    return { [Symbol.dispose]: () => held.dispose() };
  }
}

/** A data set of a cluster. */
interface StoredDataset {
  name: string;
  artifact: string;
  created_at: string;
}

/** The data sets of a cluster, which are fetched to this machine when they are asked for. */
export class ClusterDatasets extends DatasetLibrary {
  readonly #artifacts: Artifacts;
  readonly #stored: WatchedBucket<StoredDataset>;
  readonly #folders: FetchedFolders;

  private constructor(
    artifacts: Artifacts,
    stored: WatchedBucket<StoredDataset>,
    folders: FetchedFolders,
    dir: string,
    ingest: Ingest,
  ) {
    super(dir, ingest);
    this.#artifacts = artifacts;
    this.#stored = stored;
    this.#folders = folders;
  }

  /**
   * Opens the data sets.
   *
   * @param dir The folder of the data sets on this machine.
   */
  static async open(
    cluster: Cluster,
    artifacts: Artifacts,
    folders: FetchedFolders,
    dir: string,
    ingest: Ingest,
  ): Promise<ClusterDatasets> {
    const stored = await WatchedBucket.open<StoredDataset>(cluster, "datasets", (it) => it);
    return new ClusterDatasets(artifacts, stored, folders, dir, ingest);
  }

  /** Fetches a data set to this machine, and returns its folder. */
  async bring(name: string): Promise<string> {
    const dir = this.dirOf(name);
    if (name === SAMPLE) return dir;
    const stored = this.#stored.summary(keyOf(name));
    if (stored === undefined) throw new UserError(`There is no data set '${name}' in the cluster`);
    await this.#folders.bring(stored.artifact, dir);
    return dir;
  }

  // deno-lint-ignore require-await
  override async names(): Promise<string[]> {
    return [SAMPLE, ...[...this.#stored.entries()].map(([, { name }]) => name)].sort();
  }

  override async has(name: string): Promise<boolean> {
    if (!(await this.names()).includes(name)) return false;
    await this.bring(name);
    return true;
  }

  override async audit(name: string): Promise<Awaited<ReturnType<DatasetLibrary["audit"]>>> {
    await this.bring(name);
    return await super.audit(name);
  }

  override async entry(name: string): Promise<Awaited<ReturnType<DatasetLibrary["entry"]>>> {
    await this.bring(name);
    return await super.entry(name);
  }

  /** Shares a data set whose files are here, and returns its artifact. */
  async share(name: string): Promise<string> {
    const artifact = await this.#artifacts.store(
      this.dirOf(name),
      `datasets/${name}/${crypto.randomUUID()}`,
    );
    const created_at = new Date().toISOString();
    if (await this.#stored.create(keyOf(name), { name, artifact, created_at })) return artifact;
    await this.#artifacts.delete(artifact);
    throw new DatasetExistsError(name);
  }

  override async add(
    ...args: Parameters<DatasetLibrary["add"]>
  ): Promise<Awaited<ReturnType<DatasetLibrary["add"]>>> {
    const [name] = args;
    if (this.#stored.summary(keyOf(name)) !== undefined) throw new DatasetExistsError(name);
    // A data set that was deleted on another machine may still be here.
    await this.#folders.remove(this.dirOf(name));
    await this.keep(...args);
    await this.#folders.adopt(await this.share(name), this.dirOf(name));
    return await this.entry(name);
  }

  override async delete(name: string): Promise<void> {
    const stored = this.#stored.summary(keyOf(name));
    await this.#stored.delete(keyOf(name));
    if (stored !== undefined) await this.#artifacts.delete(stored.artifact);
    await this.#folders.remove(this.dirOf(name));
  }

  /** Stops listening to changes. */
  close(): void {
    this.#stored.close();
  }
}
