/**
 * The settings of a server.
 *
 * @module
 */
import type { Dtype } from "../models/onnx_model.ts";
import type { Device } from "../onnx/runtime/device.ts";
import type { MemberOptions } from "../orchestration/cluster/member.ts";
import type { ApiKey } from "./access.ts";
import type { Log } from "./log.ts";

/** Settings of a server. */
export interface ServiceOptions {
  /** The folder of the runs, whose models are served; `runs` by default. */
  runsDir?: string | undefined;
  /** A folder of other models, each in a folder. */
  modelsDir?: string | undefined;
  /** The file or KV database (URL) of the state; `state.kv` in the runs' folder by default. */
  kv?: string | undefined;
  /** The device for predictions; `auto` by default. */
  device?: Device | "auto" | undefined;
  /** The type of the models' weights; `fp32` by default. */
  dtype?: Dtype | undefined;
  /** Threads on the CPU for predictions; by default one for each logical core. */
  threads?: number | undefined;
  /** The most memory for loaded models, in bytes. */
  modelMemoryBytes?: number | undefined;
  /** The time without requests after which a model is unloaded. */
  idleUnloadMs?: number | undefined;
  /**
   * The time after which a model is stopped because one batch, or its loading, keeps the device; a
   * minute by default.
   */
  deviceTimeoutMs?: number | undefined;
  /**
   * The most tokens of a batch, with padding; by default as many as the device handles in about 100
   * ms.
   */
  maxBatchTokens?: number | undefined;
  /** The most texts of a request; 32 by default. */
  maxClientBatchSize?: number | undefined;
  /** The most predictions at once; 512 by default. */
  maxConcurrentRequests?: number | undefined;
  /** The most bytes of a body, other than a data set; 2 MB by default. */
  payloadLimitBytes?: number | undefined;
  /** The cluster of the server, whose workers train; none by default. */
  cluster?: Omit<MemberOptions, "runsDir" | "offer"> | undefined;
  /** The number of processes that train; one by default, 0 for none. */
  workers?: number | undefined;
  /** The silence after which a training process is replaced; two minutes by default. */
  heartbeatTimeoutMs?: number | undefined;
  /** The models to load before the service is ready. */
  preload?: readonly string[] | undefined;
  /** The keys that may use the server; without any, everyone may. */
  apiKeys?: readonly ApiKey[] | undefined;
  /**
   * The most requests in a minute of each key, or of all clients together where there are no keys; any
   * number by default.
   */
  requestsPerMinute?: number | undefined;
  /** The sites whose pages may use the server; `*` stands for all. */
  corsOrigins?: readonly string[] | undefined;
  /** Whether the server listens only on this machine, so that other host names are refused. */
  loopbackOnly?: boolean | undefined;
  /**
   * Folders, and names on the hub, that runs may train on and adapters may stand on, beside those
   * models and the models that come with Graft.
   */
  allowedBases?: readonly string[] | undefined;
  /** The most bytes of an uploaded data set; 500 MB by default. */
  datasetLimitBytes?: number | undefined;
  /** The most bytes that runs and data sets may take before more are refused. */
  diskBudgetBytes?: number | undefined;
  /** Whether to serve the page for people; true by default. */
  page?: boolean | undefined;
  /** Called with an entry for each request; by default nothing is logged. */
  log?: Log | undefined;
}
