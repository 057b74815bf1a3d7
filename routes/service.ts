/**
 * A server without its socket: the models, runs and data sets of a folder, and the routes to them.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { basename, dirname, isAbsolute, join } from "node:path";
import { DatasetLibrary, type Ingest } from "../data/dataset_library.ts";
import { folderHider } from "../lib/own_folders.ts";
import { UserError } from "../lib/user_error.ts";
import type { Dtype } from "../models/weights.ts";
import type { Device } from "../onnx/runtime/device.ts";
import { Executor } from "../onnx/runtime/executor.ts";
import { Ingestion } from "../orchestration/ingestion.ts";
import { hubCacheDir } from "../orchestration/job_process.ts";
import { KvRunStore } from "../orchestration/kv_run_store.ts";
import { lockState, OwnedFolder, STATE_FILE } from "../orchestration/server_state.ts";
import { KvStore, type Store, UnreadableStore } from "../orchestration/store.ts";
import { Supervisor } from "../orchestration/supervisor.ts";
import { Metrics } from "../serving/metrics.ts";
import { ModelCache, NoRoomError } from "../serving/model_cache.ts";
import { ModelRegistry, UnknownModelError } from "../serving/model_registry.ts";
import { KvModelStore, type ModelStore } from "../serving/model_store.ts";
import { ClusterModelStore } from "../serving/cluster_model_store.ts";
import type { RunFiles } from "../orchestration/run_files.ts";
import type { RunStore } from "../orchestration/run_store.ts";
import type { MemberOptions, SharedConfig } from "../orchestration/cluster/member.ts";
import { API_KEYS, type ApiKey, ApiKeyFile, apiKeysOf } from "./access.ts";
import { borrowModel, InferenceError, Predictor } from "../serving/predictor.ts";
import { RUNS_DIR } from "../training/folder/run_folder.ts";
import { type AppOptions, createApp } from "./app.ts";
import { Drain } from "./drain.ts";

/** Settings of {@link Service}. */
export interface ServiceOptions extends
  Partial<
    Pick<
      AppOptions,
      | "allowedBases"
      | "apiKeys"
      | "corsOrigins"
      | "datasetLimitBytes"
      | "diskBudgetBytes"
      | "log"
      | "loopbackOnly"
      | "page"
      | "requestsPerMinute"
    >
  > {
  /** The folder of the runs, whose models are served; `runs` by default. */
  runsDir?: string;
  /** A folder of other models, each in a folder. */
  modelsDir?: string | undefined;
  /** A file or KV database (URL) for the state; `state.kv` in the folder of the runs by default. */
  kv?: string | undefined;
  /** Where predictions are made; `auto` by default. */
  device?: Device | "auto";
  /** How weights are held; `fp32` by default. */
  dtype?: Dtype;
  /** The most that loaded models may hold. */
  modelMemoryBytes?: number | undefined;
  /** After how long a model is unloaded that nobody asks for. */
  idleUnloadMs?: number | undefined;
  /**
   * A model is stopped when one batch, or its loading, keeps the device for longer; a minute by
   * default.
   */
  deviceTimeoutMs?: number | undefined;
  /**
   * The most tokens of a batch, with padding; by default as many as the device does in about 100
   * ms.
   */
  maxBatchTokens?: number | undefined;
  /** The most texts of a request; 32 by default. */
  maxClientBatchSize?: number;
  /** The most predictions at once; 512 by default. */
  maxConcurrentRequests?: number;
  /** The largest body but of data sets; 2 MB by default. */
  payloadLimitBytes?: number;
  /** The cluster that it belongs to, whose workers train; by default none. */
  cluster?: Omit<MemberOptions, "runsDir"> | undefined;
  /** How many processes train; one by default, 0 for none. */
  workers?: number;
  /** After how long a training process that is silent is replaced; two minutes by default. */
  heartbeatTimeoutMs?: number;
  /** Models that are loaded before the service is ready. */
  preload?: readonly string[];
}

/** A folder that is served. */
export class Service implements AsyncDisposable {
  /** The routes. */
  readonly app: OpenAPIHono;
  /** Whether requests need a key. */
  readonly hasKeys: boolean;
  /** This process's hold on the folder. */
  readonly folder: OwnedFolder;
  /** Resolves when predictions are made at once; rejects if the device or a preloaded model fails. */
  readonly ready: Promise<void>;
  readonly #supervisor: Supervisor;
  readonly #drain: Drain;
  readonly #resources: AsyncDisposableStack;
  #isReady = false;
  #stopping = false;

  private constructor(
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
    this.app = createApp({
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
    this.ready = this.#prepare(options.preload ?? [], models, cache);
    this.ready.catch(() => {});
  }

  /**
   * Opens a folder, which then belongs to this process until the service is disposed of.
   *
   * @throws {UserError} If another process has it.
   */
  static async open(options: ServiceOptions = {}): Promise<Service> {
    const { runsDir = RUNS_DIR, modelsDir, device = "auto", dtype = "fp32" } = options;
    const { deviceTimeoutMs = 60_000, allowedBases = [] } = options;
    await using opened = new AsyncDisposableStack();
    const folder = opened.use(await OwnedFolder.take(runsDir));
    const cache = opened.use(
      new ModelCache({
        startExecutor: () => Executor.start({ device, timeoutMs: deviceTimeoutMs }),
        dtype,
        maxBytes: options.modelMemoryBytes,
        idleMs: options.idleUnloadMs,
      }),
    );
    // It starts while everything else does.
    cache.executor().catch(() => {});

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
        // Those of a cluster train elsewhere.
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
    // Predicting does not wait for it, as where the disk is full.
    if (cluster === undefined) {
      supervisor.recover().catch((error) =>
        console.error(`Cannot go on with runs: ${error.message}`)
      );
    }
    const apiKeys = [...options.apiKeys ?? []];
    if (clusterKeys !== undefined) opened.use(followKeys(clusterKeys, apiKeys));
    const parts = { cache, datasets, hideFolders, models, runsDir, store, supervisor, apiKeys };
    return new Service(options, parts, folder, opened.move());
  }

  /**
   * Takes no more requests, waits for responses to those that were taken, and ends what trains, to
   * be gone on with.
   *
   * @param onAnswered Called as soon as all responses are there; event streams end with their runs.
   */
  async stop(onAnswered: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    this.#stopping = true;
    this.#isReady = false;
    await Promise.all([this.#drain.drain().then(onAnswered), this.#supervisor.close()]);
  }

  /** Stops, and gives the folder back. */
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

/** The state in a folder, which has one owner. */
async function ownState(
  opened: AsyncDisposableStack,
  { kv: given }: ServiceOptions,
  runsDir: string,
  ingest: Ingest,
): Promise<ServiceState> {
  const kv = given ?? join(runsDir, STATE_FILE);
  opened.use(await lockState(kv));
  const store = opened.use(new KvRunStore(await openState(kv)));
  const modelStore = opened.use(new KvModelStore(await openState(kv)));
  return { store, modelStore, datasets: new DatasetLibrary(join(runsDir, "datasets"), ingest) };
}

/** The state that a cluster shares. */
async function clusterState(
  opened: AsyncDisposableStack,
  options: MemberOptions,
  ingest: Ingest,
): Promise<ServiceState> {
  // Only here, so that a server without a cluster loads nothing of it.
  const { ClusterMember } = await import("../orchestration/cluster/member.ts");
  const member = opened.use(await ClusterMember.join(options, ingest));
  const { store, datasets, files, config } = member;
  const modelStore = new ClusterModelStore(member.models, files);
  return { store, modelStore, datasets, files, clusterKeys: config };
}

/** Keeps keys as the cluster has them, after those that are there by now. */
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

/** The state, or, where that cannot be read, a stand-in: predicting needs none. */
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
