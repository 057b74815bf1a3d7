/**
 * `serve`: predicts, trains and evaluates over HTTP.
 *
 * @module
 */
import { Command, InvalidArgumentError, Option } from "commander";
import { exists, readJson } from "../lib/files.ts";
import { UserError } from "../lib/user_error.ts";
import { writeLine } from "../lib/write_line.ts";
import type { Dtype } from "../models/onnx_model.ts";
import type { Device } from "../onnx/runtime/device.ts";
import {
  API_KEY_VARIABLE,
  type ApiKey,
  apiKey,
  ApiKeyFile,
  apiKeysOf,
  isLoopback,
} from "../routes/access.ts";
import { apiKeyVariable } from "./api_key.ts";
import { Service } from "../routes/service.ts";
import type { ServiceOptions } from "../routes/service_options.ts";
import { connectionsPossible, HttpServer } from "../serving/http_server.ts";
import { RUNS_DIR } from "../training/folder/run_folder.ts";
import { addClusterOptions, type ClusterFlags, memberOptions } from "./cluster_options.ts";
import { collect } from "./collect.ts";
import { parseSize } from "./parse_size.ts";
import { deviceOption } from "./device_option.ts";
import { dtypeOption } from "./dtype_option.ts";
import { parseCount } from "./parse_count.ts";

interface Options extends ClusterFlags {
  port: number;
  host: string;
  runs: string;
  models?: string;
  kv?: string;
  device: Device | "auto";
  dtype: Dtype;
  threads?: number;
  preload?: string[];
  modelMemory?: number;
  idleUnload?: number;
  maxBatchTokens?: number;
  deviceTimeout: number;
  maxClientBatchSize: number;
  maxConcurrentRequests: number;
  maxConnections: number;
  payloadLimit: number;
  datasetLimit: number;
  diskBudget?: number;
  workers: number;
  heartbeatTimeout: number;
  allowBase?: string[];
  drainTimeout: number;
  apiKeyFile?: string;
  rateLimit?: number;
  corsOrigin?: string[];
  insecure?: true;
  ui: boolean;
}

/** The least timeout in seconds; a busy process may miss some of its heartbeats, one every two. */
const MIN_HEARTBEAT_TIMEOUT = 10;

/** The command and its options. */
export function serveCommand(): Command {
  return addClusterOptions(new Command("serve"))
    .description("Predict, train and evaluate over HTTP")
    .option("--port <number>", "Port to listen on; 0 takes a free one", parsePort, 8000)
    .option("--host <address>", "Address to listen on", "127.0.0.1")
    .option("--runs <dir>", "Folder of the runs, whose models are served", RUNS_DIR)
    .option("--models <dir>", "Folder of other models that are served, each in a folder")
    .option("--kv <file>", "File or KV database (URL) for the state; default: state.kv in --runs")
    .addOption(deviceOption())
    .addOption(dtypeOption())
    .option(
      "--threads <number>",
      "CPU threads of predictions; default: all cores, which servers on one machine should share",
      parseCount,
    )
    .option("--preload <model>", "Load a model before the server is ready; repeatable", collect)
    .option("--model-memory <size>", "Most that loaded models may hold, such as 500MB", parseSize)
    .option("--idle-unload <seconds>", "Unload models that nobody asks for", parseSeconds)
    .option(
      "--max-batch-tokens <number>",
      "Most tokens of a batch, with padding; default: as many as take 100 ms",
      parseCount,
    )
    .option(
      "--device-timeout <seconds>",
      "Stop a model that keeps the device this long with one batch, or while it is loaded",
      parseTimeout,
      60,
    )
    .option("--max-client-batch-size <number>", "Most texts of a request", parseCount, 32)
    .option("--max-concurrent-requests <number>", "Most predictions at once", parseCount, 512)
    .option(
      "--max-connections <number>",
      "Most connections at once; fewer where fewer files may be open",
      parseCount,
      1000,
    )
    .addOption(
      new Option("--payload-limit <size>", "Largest body").argParser(parseSize)
        .default(2_000_000, "2MB"),
    )
    .addOption(
      new Option("--dataset-limit <size>", "Largest data set").argParser(parseSize)
        .default(500_000_000, "500MB"),
    )
    .option("--disk-budget <size>", "Most that runs and data sets may take on the disk", parseSize)
    .option("--workers <number>", "Processes that train; with 0, runs wait", parseWorkers, 1)
    .option(
      "--heartbeat-timeout <seconds>",
      "Replace a training process that is silent this long; 10 or more",
      parseHeartbeatTimeout,
      120,
    )
    .option(
      "--allow-base <model>",
      "Base that requests may train on, and adapters stand on: a folder, known by its name, or one " +
        "on the hub; repeatable",
      collect,
    )
    .option("--drain-timeout <seconds>", "Time to finish when told to stop", parseSeconds, 30)
    .option(
      "--api-key-file <file>",
      `JSON of hashed keys with their scopes and limits; ${API_KEY_VARIABLE} holds one that may do everything`,
    )
    .option(
      "--rate-limit <number>",
      "Most requests in a minute of each key, or of all without keys",
      parseCount,
    )
    .option(
      "--cors-origin <origin>",
      "Site whose pages may use the server, such as https://example.com, or * for all; repeatable",
      collect,
    )
    .option("--insecure", "Listen on a public address without a key")
    .option("--no-ui", "Serve no page for people")
    .action(run);
}

async function run(options: Options): Promise<void> {
  const apiKeys = await readKeys(options);
  const cluster = memberOptions(options);
  // The keys of a cluster are known once it has been joined.
  if (cluster === undefined) checkKeys(options, apiKeys.length > 0);
  await checkModels(options);
  // The service is held until the process ends: the state has one owner.
  await using service = await Service.open(serviceOptions(options, apiKeys, cluster));
  checkKeys(options, service.hasKeys);
  const server = await listen(service, options);
  await answerUntilStopped(service, server, options.drainTimeout * 1000);
}

/** Refuses to listen where strangers could reach a server without keys. */
function checkKeys({ host, insecure }: Options, hasKeys: boolean): void {
  if (isLoopback(host) || hasKeys || insecure) return;
  throw new UserError(
    `Cannot listen on '${host}' without --api-key-file or ${API_KEY_VARIABLE}: others could reach it; or use --insecure`,
  );
}

async function checkModels({ models, cluster }: Options): Promise<void> {
  if (models === undefined) return;
  if (cluster !== undefined) {
    throw new UserError(
      "Cannot use --models with --cluster: the others would not see them; use 'cluster publish'",
    );
  }
  if (!await exists(models)) {
    throw new UserError(`Cannot serve the models of '${models}': no such folder`);
  }
}

function serviceOptions(
  options: Options,
  apiKeys: readonly ApiKey[],
  cluster: ServiceOptions["cluster"],
): ServiceOptions {
  return {
    runsDir: options.runs,
    modelsDir: options.models,
    cluster,
    kv: options.kv,
    device: options.device,
    dtype: options.dtype,
    threads: options.threads,
    modelMemoryBytes: options.modelMemory,
    deviceTimeoutMs: options.deviceTimeout * 1000,
    idleUnloadMs: options.idleUnload === undefined ? undefined : options.idleUnload * 1000,
    maxBatchTokens: options.maxBatchTokens,
    maxClientBatchSize: options.maxClientBatchSize,
    maxConcurrentRequests: options.maxConcurrentRequests,
    payloadLimitBytes: options.payloadLimit,
    datasetLimitBytes: options.datasetLimit,
    diskBudgetBytes: options.diskBudget,
    workers: options.workers,
    heartbeatTimeoutMs: options.heartbeatTimeout * 1000,
    allowedBases: options.allowBase ?? [],
    preload: options.preload ?? [],
    loopbackOnly: isLoopback(options.host),
    apiKeys,
    requestsPerMinute: options.rateLimit,
    corsOrigins: options.corsOrigin ?? [],
    // OpenTelemetry, if it is on, takes the severity from the function.
    log: (entry) => console[entry.level](JSON.stringify(entry)),
    page: options.ui,
  };
}

async function listen(
  { app, folder }: Service,
  { host, port, maxConnections: most, ui, workers, cluster }: Options,
): Promise<HttpServer> {
  // Folders open faster, where they open at all.
  const openable = Deno.build.os === "windows" ? folder.addressFile : folder.dir;
  const maxConnections = connectionsPossible(openable, most);
  const server = HttpServer.listen({ hostname: host, port, maxConnections }, app.fetch);
  const address = `http://${server.address.hostname}:${server.address.port}`;
  await folder.tell(address);
  writeLine(Deno.stderr, `Listening on ${address}`);
  if (ui) {
    writeLine(Deno.stderr, "Open it in a browser to watch runs, try models and see their mistakes");
  }
  if (workers === 0 && cluster === undefined) {
    writeLine(
      Deno.stderr,
      "Nothing trains here (--workers 0): runs wait for a server with workers",
    );
  }
  return server;
}

/** Resolves when a signal has ended the server, and all its requests are answered. */
async function answerUntilStopped(
  service: Service,
  server: HttpServer,
  drainTimeoutMs: number,
): Promise<void> {
  // Under `deno task` a signal comes twice: from the terminal, and from the task.
  let stopping: Promise<void> | undefined;
  const stop = () => {
    // A server that shuts down cuts off bodies that it still reads: https://github.com/denoland/deno/issues/36809
    stopping ??= service.stop(() => server.shutdown());
    // The timer cuts off requests that take longer, and does not keep the process alive.
    setTimeout(() => Deno.exit(0), drainTimeoutMs).unref();
  };
  Deno.addSignalListener("SIGINT", stop);
  Deno.addSignalListener("SIGTERM", stop);
  try {
    await service.ready;
  } catch (error) {
    // No client knows yet that it is ready.
    server.abort();
    throw error;
  } finally {
    await server.finished;
    await stopping;
    Deno.removeSignalListener("SIGINT", stop);
    Deno.removeSignalListener("SIGTERM", stop);
  }
}

async function readKeys({ apiKeyFile }: Options): Promise<ApiKey[]> {
  const key = apiKeyVariable();
  const given = key === undefined ? [] : [apiKey(API_KEY_VARIABLE, key)];
  if (apiKeyFile === undefined) return given;
  return [...given, ...apiKeysOf(await readJson(apiKeyFile, ApiKeyFile))];
}

function parsePort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new InvalidArgumentError("It must be 0 to 65535.");
}

function parseWorkers(text: string): number {
  return text === "0" ? 0 : parseCount(text);
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (text.trim() !== "" && seconds >= 0 && seconds <= 1e6) return seconds;
  throw new InvalidArgumentError("It must be a number of seconds.");
}

function parseTimeout(text: string): number {
  const seconds = parseSeconds(text);
  if (seconds >= 1) return seconds;
  throw new InvalidArgumentError("It must be at least a second.");
}

function parseHeartbeatTimeout(text: string): number {
  const seconds = parseSeconds(text);
  if (seconds >= MIN_HEARTBEAT_TIMEOUT) return seconds;
  throw new InvalidArgumentError(`It must be at least ${MIN_HEARTBEAT_TIMEOUT} seconds.`);
}
