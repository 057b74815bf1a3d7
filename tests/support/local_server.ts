/**
 * The server's application for tests, over a folder of its own and with small models.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { join } from "node:path";
import { DatasetLibrary } from "../../data/dataset_library.ts";
import { ingest } from "../../data/preparation/ingest.ts";
import { folderHider } from "../../lib/hide_folders.ts";
import { saveClassifier } from "../../models/formats/classifier_folder.ts";
import { scratchClassifier } from "../../models/scratch.ts";
import { Executor } from "../../onnx/runtime/executor.ts";
import { type AppOptions, createApp } from "../../routes/app.ts";
import { Drain } from "../../routes/drain.ts";
import { Metrics } from "../../serving/server_metrics.ts";
import { ModelCache, type ModelCacheOptions } from "../../serving/model_cache.ts";
import { ModelRegistry } from "../../serving/model_registry.ts";
import { KvModelStore, type ModelStore } from "../../serving/model_store.ts";
import { Predictor } from "../../serving/predictor.ts";
import { METRICS_FILE } from "../../training/folder/run_folder.ts";
import { KvRunStore } from "../../orchestration/kv_run_store.ts";
import type { RunStore } from "../../orchestration/run_store.ts";
import { type SpawnWorker, spawnWorker } from "../../orchestration/job_process.ts";
import { Supervisor, type SupervisorOptions } from "../../orchestration/supervisor.ts";

/** The model that the served ones were made from. */
export const TEXTS = ["a duet for two pianos", "bread from sour dough", "how to tune a piano"];

/** The classes of the models. */
export const LABELS = ["food", "music", "travel"];

/** Settings of {@link LocalServer}. */
export interface LocalServerOptions extends Partial<AppOptions> {
  /** Models with random weights, by name and seed. */
  seeds?: Record<string, number>;
  cacheOptions?: Partial<ModelCacheOptions>;
  maxBatchTokens?: number;
  spawn?: SpawnWorker;
  supervisorOptions?: Partial<SupervisorOptions>;
}

/** An application whose state and folder are gone afterwards. */
export class LocalServer implements AsyncDisposable {
  readonly app: OpenAPIHono;
  readonly runsDir: string;
  readonly store: RunStore;
  readonly supervisor: Supervisor;
  readonly datasets: DatasetLibrary;
  readonly cache: ModelCache;
  readonly models: ModelRegistry;
  readonly #modelStore: ModelStore;
  readonly #predictor: Predictor;

  private constructor(
    options: LocalServerOptions,
    runsDir: string,
    store: RunStore,
    modelStore: ModelStore,
    models: ModelRegistry,
  ) {
    const { spawn = spawnWorker, cacheOptions, supervisorOptions, maxBatchTokens, ...appOptions } =
      options;
    this.runsDir = runsDir;
    this.store = store;
    this.#modelStore = modelStore;
    this.models = models;
    this.datasets = new DatasetLibrary(
      join(runsDir, "datasets"),
      (dataset) => ingest(dataset, { wordPieceCounter: () => (text) => text.length }),
    );
    this.supervisor = new Supervisor({
      store,
      runsDir,
      datasetDir: (name) => this.datasets.dirOf(name),
      spawn,
      ...supervisorOptions,
    });
    this.cache = new ModelCache({
      startExecutor: () => Executor.start({ threads: 1 }),
      ...cacheOptions,
    });
    const metrics = new Metrics();
    this.#predictor = new Predictor(models, this.cache, metrics, maxBatchTokens);
    this.app = createApp({
      store,
      supervisor: this.supervisor,
      runsDir,
      datasets: this.datasets,
      models,
      cache: this.cache,
      predictor: this.#predictor,
      metrics,
      prediction: { device: "wasm", dtype: "fp32" },
      limits: {
        maxClientBatchSize: 32,
        maxConcurrentRequests: 512,
        payloadLimitBytes: 2_000_000,
      },
      hideFolders: folderHider([runsDir]),
      isReady: () => true,
      drain: new Drain(),
      ...appOptions,
    });
  }

  /** An application with models. */
  static async start(options: LocalServerOptions = {}): Promise<LocalServer> {
    const runsDir = await Deno.makeTempDir();
    for (const [name, seed] of Object.entries(options.seeds ?? {})) {
      await writeModel(join(runsDir, name), seed);
    }
    const store = options.store ?? await KvRunStore.open(":memory:");
    const modelStore = await KvModelStore.open(":memory:");
    const { allowedBases = [] } = options;
    const models = await ModelRegistry.open({
      store: modelStore,
      runs: store,
      runsDir,
      allowedBases,
    });
    return new LocalServer(options, runsDir, store, modelStore, models);
  }

  /** A request with a body of JSON. */
  send(method: string, path: string, body: unknown, headers: HeadersInit = {}): Promise<Response> {
    const init = { method, body: JSON.stringify(body), headers };
    return Promise.resolve(this.app.request(path, init));
  }

  /** The answer to a POST, which has status 200 or the one given. */
  async post<Answer>(path: string, body: unknown, status = 200): Promise<Answer> {
    const response = await this.send("POST", path, body);
    const answer = await response.json();
    if (response.status === status) return answer;
    throw new Error(`${path} answered ${response.status}: ${JSON.stringify(answer)}`);
  }

  /** Stops everything and removes the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.supervisor.close();
    this.#predictor[Symbol.dispose]();
    await this.cache[Symbol.asyncDispose]();
    this.store.close();
    this.#modelStore.close();
    await Deno.remove(this.runsDir, { recursive: true });
  }
}

/** Writes the folder of a finished run, with random weights. */
export async function writeModel(dir: string, seed: number): Promise<void> {
  const classifier = scratchClassifier("tiny", TEXTS, LABELS, { seed, maxLength: 32 });
  await saveClassifier(dir, classifier);
  await Deno.writeTextFile(join(dir, METRICS_FILE), "{}");
}

/** Gives a model's files to another folder, by links that take no room. */
export async function copyModel(from: string, to: string): Promise<void> {
  await Deno.mkdir(to);
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copyModel(join(from, name), join(to, name));
    else await Deno.link(join(from, name), join(to, name));
  }
}
