/**
 * A process that belongs to a cluster: the state that it shares with all others, and its folder on
 * this machine's disk. It is loaded only where a cluster is asked for.
 *
 * @module
 */
import { join } from "node:path";
import type { Ingest } from "../../data/dataset_library.ts";
import { REPORTS_DIR } from "../evaluation_work.ts";
import { Artifacts, BucketBlobs, FetchedFolders, FolderBlobs } from "./artifacts.ts";
import { ClusterDatasets, ClusterFiles } from "./cluster_files.ts";
import { Cluster, type ClusterOptions } from "./connection.ts";
import { JetStreamRunStore, type Offer } from "./jetstream_run_store.ts";
import { PublishedModels } from "./published_models.ts";
import { WatchedBucket } from "./watched_bucket.ts";

/** Options of {@link ClusterMember.join}. */
export interface MemberOptions extends ClusterOptions {
  /** The folder of this process's files, which it shares with no other. */
  runsDir: string;
  /** A folder of a file system that all members share, in place of a bucket in NATS. */
  artifactsDir?: string | undefined;
  /** The most disk space that fetched models, data sets and reports may take, in bytes. */
  cacheBytes?: number | undefined;
  /** The devices and labels of a worker; without them, no task can be claimed. */
  offer?: Offer;
}

/** Settings that hold for all members, by name. */
export type SharedConfig = WatchedBucket<object>;

/** The state that the members of a cluster share. */
export class ClusterMember implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly store: JetStreamRunStore;
  readonly datasets: ClusterDatasets;
  readonly models: PublishedModels;
  readonly files: ClusterFiles;
  readonly config: SharedConfig;
  readonly #resources: AsyncDisposableStack;

  private constructor(
    cluster: Cluster,
    store: JetStreamRunStore,
    datasets: ClusterDatasets,
    models: PublishedModels,
    files: ClusterFiles,
    config: SharedConfig,
    resources: AsyncDisposableStack,
  ) {
    this.cluster = cluster;
    this.store = store;
    this.datasets = datasets;
    this.models = models;
    this.files = files;
    this.config = config;
    this.#resources = resources;
  }

  /**
   * Joins the cluster.
   *
   * @param ingest Makes the data sets that are sent to this process.
   * @throws {UserError} If no server of the cluster answers.
   */
  static async join(options: MemberOptions, ingest: Ingest): Promise<ClusterMember> {
    const { runsDir, artifactsDir, cacheBytes: budgetBytes, offer } = options;
    await using opened = new AsyncDisposableStack();
    const cluster = opened.use(await Cluster.connect(options));
    const blobs = artifactsDir === undefined
      ? await BucketBlobs.open(cluster)
      : new FolderBlobs(artifactsDir);
    const artifacts = new Artifacts(blobs);
    const store = opened.adopt(await JetStreamRunStore.open(cluster, offer), (it) => it.close());
    const datasetsDir = join(runsDir, "datasets");
    const folders = new FetchedFolders(artifacts, budgetBytes);
    await folders.find([runsDir, datasetsDir, join(runsDir, REPORTS_DIR)]);
    const datasets = opened.adopt(
      await ClusterDatasets.open(cluster, artifacts, folders, datasetsDir, ingest),
      (it) => it.close(),
    );
    const models = opened.adopt(await PublishedModels.open(cluster), (it) => it.close());
    const files = new ClusterFiles(artifacts, models, datasets, folders, runsDir);
    const config = opened.adopt(
      await WatchedBucket.open<object>(cluster, "config", (it) => it),
      (it) => it.close(),
    );
    return new ClusterMember(cluster, store, datasets, models, files, config, opened.move());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}
