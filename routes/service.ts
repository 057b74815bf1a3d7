/**
 * A server without its socket: the models, runs and data sets of a folder, and their routes.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { basename, dirname, isAbsolute, join } from "node:path";
import { DatasetLibrary, type Ingest } from "../data/dataset_library.ts";
import { folderHider } from "../lib/hide_folders.ts";
import { UserError } from "../lib/user_error.ts";
import { Executor } from "../onnx/runtime/executor.ts";
import { Ingestion } from "../orchestration/ingestion.ts";
import { hubCacheDir } from "../orchestration/job_process.ts";
import { KvRunStore } from "../orchestration/kv_run_store.ts";
import { lockState, OwnedFolder, STATE_FILE } from "../orchestration/server_state.ts";
import { KvStore, type Store, UnreadableStore } from "../orchestration/store.ts";
import { Supervisor } from "../orchestration/supervisor.ts";
import { Metrics } from "../serving/server_metrics.ts";
import { ModelCache, NoRoomError } from "../serving/model_cache.ts";
import { UnknownModelError } from "../serving/model_reference.ts";
import { ModelRegistry } from "../serving/model_registry.ts";
import { KvModelStore, type ModelStore } from "../serving/model_store.ts";
import { ClusterModelStore } from "../serving/cluster_model_store.ts";
import type { RunFiles } from "../orchestration/run_files.ts";
import type { RunStore } from "../orchestration/run_store.ts";
import type { MemberOptions, SharedConfig } from "../orchestration/cluster/member.ts";
import { API_KEYS, type ApiKey, ApiKeyFile, apiKeysOf } from "./access.ts";
import { borrowModel, InferenceError, Predictor } from "../serving/predictor.ts";
import { RUNS_DIR } from "../training/folder/run_folder.ts";
import type { AppOptions, createApp } from "./app.ts";
import { Drain } from "./drain.ts";
import type { ServiceOptions } from "./service_options.ts";

/** The server of a folder. */
export class Service implements AsyncDisposable {
  /** The routes. */
  readonly app: OpenAPIHono;
  /** Whether requests need a key. */
  readonly hasKeys: boolean;
  /** This process's hold on the folder. */
  readonly folder: OwnedFolder;
  /** Resolves when it can predict at once; rejects if the device or a preloaded model fails. */
  readonly ready: Promise<void>;
  readonly #supervisor: Supervisor;
  readonly #drain: Drain;
  readonly #resources: AsyncDisposableStack;
  /** The first look for models. */
  readonly #found: Promise<unknown>;
  #isReady = false;
  #stopping = false;

  private constructor(
    makeApp: typeof createApp,
    options: ServiceOptions,
    parts: Pick<
      AppOptions,
      | "apiKeys"
      | "cache"
      | "datasets"
      | "hideFolders"
      | "models"
      | "runsDir"
      | "store"
      | "supervisor"
    >,
    folder: OwnedFolder,
    resources: AsyncDisposableStack,
  ) {
    const { device = "auto", dtype = "fp32", maxBatchTokens } = options;
    const { cache, models, supervisor } = parts;
    const metrics = new Metrics();
    this.folder = folder;
    this.hasKeys = parts.apiKeys?.length !== 0;
    this.#supervisor = supervisor;
    this.#drain = new Drain();
    this.#resources = resources;
    this.app = makeApp({
      allowedBases: [],
      ...options,
      ...parts,
      loopbackOnly: options.loopbackOnly === true && parts.apiKeys?.length === 0,
      trainsElsewhere: options.cluster !== undefined,
      prediction: { device, dtype },
      predictor: resources.use(new Predictor(models, cache, metrics, maxBatchTokens)),
      metrics,
      limits: {
        maxBatchTokens,
        maxClientBatchSize: options.maxClientBatchSize ?? 32,
        maxConcurrentRequests: options.maxConcurrentRequests ?? 512,
        payloadLimitBytes: options.payloadLimitBytes ?? 2_000_000,
      },
      isReady: () => this.#isReady && cache.isRunning,
      drain: this.#drain,
    });
    // Nobody waits for it; a request that needs the models before says what is wrong.
    this.#found = models.list().catch(() => {});
    this.ready = this.#prepare(options.preload ?? [], models, cache);
    this.ready.catch(() => {});
  }

  /**
   * Opens a folder, which belongs to this process until the service is disposed of.
   *
   * @throws {UserError} If another process has it.
   */
  static async open(options: ServiceOptions = {}): Promise<Service> {
    const { device = "auto", dtype = "fp32", threads, deviceTimeoutMs = 60_000 } = options;
    await using opened = new AsyncDisposableStack();
    const folder = opened.use(await OwnedFolder.take(options.runsDir ?? RUNS_DIR));
    const { dir: runsDir } = folder;
    const modelsDir = options.modelsDir && await Deno.realPath(options.modelsDir);
    const { allowedBases = [] } = options;
    const cache = opened.use(
      new ModelCache({
        startExecutor: () => Executor.start({ device, threads, timeoutMs: deviceTimeoutMs }),
        dtype,
        maxBytes: options.modelMemoryBytes,
        idleMs: options.idleUnloadMs,
      }),
    );
    // The executor starts while everything else does, and the code of the routes is loaded.
    cache.executor().catch(() => {});
    const { createApp } = await import("./app.ts");

    const { heartbeatTimeoutMs = 120_000, cluster } = options;
    const ingestion = new Ingestion();
    const ingest: Ingest = (dataset, signal) => ingestion.run(dataset, signal);
    const state = cluster === undefined
      ? await ownState(opened, options, runsDir, ingest)
      : await clusterState(opened, { ...cluster, runsDir }, ingest);
    const { store, modelStore, datasets, files, clusterKeys } = state;
    await datasets.removeLeftovers();
    const kvDirs = options.kv === undefined || /^https?:/.test(options.kv)
      ? []
      : [dirname(options.kv)];
    const hideFolders = folderHider(
      [runsDir, modelsDir, hubCacheDir(), ...kvDirs, ...allowedBases.filter((it) => isAbsolute(it))]
        .filter((dir) => dir !== undefined),
    );
    const supervisor = opened.use(
      new Supervisor({
        hideFolders,
        store,
        runsDir,
        datasetDir: (name) => datasets.dirOf(name),
        // The runs of a cluster are trained elsewhere.
        ...cluster === undefined ? { workers: options.workers ?? 1 } : { workers: 0, files },
        ...cluster !== undefined && { maxQueued: MAX_QUEUED_IN_CLUSTER },
        heartbeatTimeoutMs,
      }),
    );
    const models = await ModelRegistry.open({
      store: modelStore,
      runs: store,
      runsDir,
      modelsDir,
      allowedBases,
    });
    // Predicting does not wait for it, for example on a full disk.
    if (cluster === undefined) {
      supervisor.recover().catch((error) =>
        console.error(`Cannot go on with runs: ${error.message}`)
      );
    }
    const apiKeys = [...options.apiKeys ?? []];
    if (clusterKeys !== undefined) opened.use(followKeys(clusterKeys, apiKeys));
    const parts = { cache, datasets, hideFolders, models, runsDir, store, supervisor, apiKeys };
    return new Service(createApp, options, parts, folder, opened.move());
  }

  /**
   * Accepts no more requests, waits for the responses to accepted ones, and stops training, which
   * can be resumed.
   *
   * @param onAnswered Called as soon as all responses have been made; event streams end with their
   * runs.
   */
  async stop(onAnswered: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    this.#stopping = true;
    this.#isReady = false;
    await Promise.all([
      this.#drain.drain().then(onAnswered),
      this.#supervisor.close(),
      this.#found,
    ]);
  }

  /** Stops the server, and releases the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.#resources.disposeAsync();
  }

  async #prepare(
    preloaded: readonly string[],
    models: ModelRegistry,
    cache: ModelCache,
  ): Promise<void> {
    await cache.executor();
    for (const name of preloaded) await preload(name, models, cache);
    this.#isReady = !this.#stopping;
  }
}

/** The most runs and evaluations that may wait in a cluster. */
const MAX_QUEUED_IN_CLUSTER = 20_000;

/** The state of a service. */
interface ServiceState {
  store: RunStore;
  modelStore: ModelStore;
  datasets: DatasetLibrary;
  files?: RunFiles;
  clusterKeys?: SharedConfig;
}

/** Opens the state in a folder, which has one owner. */
async function ownState(
  opened: AsyncDisposableStack,
  { kv: given }: ServiceOptions,
  runsDir: string,
  ingest: Ingest,
): Promise<ServiceState> {
  const kv = given ?? join(runsDir, STATE_FILE);
  opened.use(await lockState(kv));
  const store = opened.use(await KvRunStore.over(await openState(kv)));
  const modelStore = opened.use(new KvModelStore(await openState(kv)));
  return { store, modelStore, datasets: new DatasetLibrary(join(runsDir, "datasets"), ingest) };
}

/** Opens the state that a cluster shares. */
async function clusterState(
  opened: AsyncDisposableStack,
  options: MemberOptions,
  ingest: Ingest,
): Promise<ServiceState> {
  // Imported here, so that a server without a cluster loads none of it.
  const { ClusterMember } = await import("../orchestration/cluster/member.ts");
  const member = opened.use(await ClusterMember.join(options, ingest));
  const { store, datasets, files, config } = member;
  const modelStore = new ClusterModelStore(member.models, files);
  return { store, modelStore, datasets, files, clusterKeys: config };
}

/** Adds the keys of a cluster to those that are there already, and keeps them up to date. */
function followKeys(config: SharedConfig, keys: ApiKey[]): Disposable {
  const own = [...keys];
  const update = () => {
    const stored = config.summary(API_KEYS);
    const shared = stored === undefined ? [] : apiKeysOf(ApiKeyFile.parse(stored));
    keys.splice(0, keys.length, ...own, ...shared);
  };
  update();
  return config.listen(update);
}

/** Opens the state, or a stand-in if it cannot be read: predicting needs no state. */
async function openState(kv: string): Promise<Store> {
  try {
    return await KvStore.open(kv);
  } catch (error) {
    const reason = error instanceof Error ? error.message.split("\n")[0] : error;
    const message = `Cannot read the state in '${basename(kv)}': ${reason}`;
    console.error(`${message}; nothing can be trained until it is mended or moved away`);
    return new UnreadableStore(message);
  }
}

async function preload(name: string, models: ModelRegistry, cache: ModelCache): Promise<void> {
  try {
    using _model = await borrowModel(cache, await models.resolve(name));
  } catch (error) {
    if (
      error instanceof UnknownModelError || error instanceof InferenceError ||
      error instanceof NoRoomError
    ) {
      throw new UserError(`Cannot preload '${name}': ${error.message}`);
    }
    throw error;
  }
}
