/**
 * Starts a command with only the permissions that its arguments require: the files and folders that
 * they name, the hub where a model is named that is there, and the hosts of servers. The tasks of
 * deno.json run this file; its first argument is the command, after `native` where native code is
 * allowed.
 *
 * @module
 */
import { basename, dirname, join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { realPathSync } from "../lib/files.ts";
import { packagesDir, pathPermission, SYSTEM_VARIABLES, withTarget } from "../lib/permissions.ts";
import { cacheDirOf, HUB_HOSTS, HUB_VARIABLES, isHubName } from "../models/hub_cache.ts";
import { NATIVE_PACKAGES } from "../onnx/runtime/device.ts";
import { serverAddress, STATE_FILE } from "../orchestration/server_state.ts";

/** What a command needs beside Graft's own files. Options are given without their dashes. */
interface Needs {
  /** Options that name files and folders to read. */
  reads?: readonly string[];
  /** Whether a subcommand's words beside the options name files and folders to read. */
  readsWords?: true;
  /** Whether `--model` names trained models, or else the run that finished last is taken. */
  usesModels?: true;
  /** Whether the data are read that such a model was trained on. */
  readsTheirData?: true;
  /** Options that name models to train on: folders, or models of the hub. */
  bases?: readonly string[];
  /** Options that name folders to write, and the folder of those that have one by default. */
  folders?: Readonly<Record<string, string | undefined>>;
  /** Options that name files to write. */
  files?: readonly string[];
  /** A file that is written into a folder that is read, or into the current one. */
  report?: string;
  /** Whether the state of a server is opened: `--kv`, or else a file in `--runs`. */
  opensState?: true;
  /** Whether temporary files are made. */
  makesTemporary?: true;
  /** Options that name servers to reach, and the hosts that are reached without them. */
  servers?: Readonly<Record<string, readonly string[]>>;
  /** Whether it listens at `--host` and `--port`. */
  listens?: true;
  /** Whether it starts processes for jobs. */
  startsJobs?: true;
  /** Whether it reaches the hub whatever its options name. */
  usesHub?: true;
  /** Kinds of information on the system. */
  system?: readonly string[];
  /** Environment variables. */
  variables?: readonly string[];
}

const TRAINING: Needs = {
  reads: ["data"],
  bases: ["model"],
  folders: { out: "runs" },
  makesTemporary: true,
  system: ["systemMemoryInfo"],
};

const CLUSTER: Needs = {
  reads: ["nats-creds", "nats-ca"],
  folders: { artifacts: undefined },
  servers: { cluster: [] },
};

/** What commands need; those that are not here need nothing. */
const COMMANDS: Readonly<Record<string, Needs>> = {
  train: TRAINING,
  tune: TRAINING,
  pretrain: {
    reads: ["texts"],
    bases: ["model", "teacher"],
    folders: { out: "bases" },
    system: ["systemMemoryInfo"],
  },
  eval: {
    reads: ["file"],
    usesModels: true,
    readsTheirData: true,
    files: ["predictions", "per-class", "confusions"],
  },
  predict: { reads: ["file"], usesModels: true, files: ["out"] },
  export: { usesModels: true, folders: { out: undefined } },
  "data prepare": { readsWords: true, folders: { out: undefined } },
  "data audit": { readsWords: true, reads: ["model"], files: ["html"], report: "audit.html" },
  "data fetch": {
    folders: { out: undefined },
    servers: { from: ["raw.githubusercontent.com:443"] },
  },
  runs: {
    folders: { runs: "runs" },
    opensState: true,
    servers: { server: ["127.0.0.1", "localhost"] },
    variables: ["GRAFT_API_KEY"],
  },
  serve: {
    reads: ["api-key-file", ...CLUSTER.reads!],
    bases: ["allow-base"],
    folders: { ...CLUSTER.folders, runs: "runs", models: undefined },
    opensState: true,
    listens: true,
    startsJobs: true,
    // Requests come before the processes that train.
    system: ["setPriority"],
    variables: ["GRAFT_API_KEY"],
  },
  worker: {
    ...CLUSTER,
    folders: { ...CLUSTER.folders, runs: "worker" },
    startsJobs: true,
    usesHub: true,
    system: ["systemMemoryInfo"],
  },
  cluster: { ...CLUSTER, readsWords: true, makesTemporary: true },
  migrate: {
    ...CLUSTER,
    folders: { ...CLUSTER.folders, runs: "runs" },
    opensState: true,
    makesTemporary: true,
  },
};

/** Looks up environment variables. */
interface Environment {
  get(name: string): string | undefined;
}

/** The needs of the command that begins with these words. */
function needsOf([command = "", subcommand = ""]: readonly string[]): Needs {
  return COMMANDS[`${command} ${subcommand}`] ?? COMMANDS[command] ?? {};
}

/**
 * The permissions of a command, as flags of `deno run`.
 *
 * @param words The command and its arguments.
 * @param temporaryDir The folder for temporary files, if the command makes some.
 */
export async function permissionsOf(
  words: readonly string[],
  { environment, temporaryDir }: { environment: Environment; temporaryDir?: string | undefined },
): Promise<string[]> {
  const needs = needsOf(words);
  const args = words.includes("--") ? words.slice(0, words.indexOf("--")) : words;
  const values = (options: readonly string[] = []) =>
    options.flatMap((option) => valuesOf(args, option));
  const inputs = needs.readsWords ? argumentsOf(words.slice(2)) : [];
  const folders = Object.entries(needs.folders ?? {}).flatMap(([option, otherwise]) =>
    lastOf(args, option) ?? otherwise ?? []
  );
  const models = needs.usesModels ? await modelsOf(args) : [];
  const runs = needs.readsTheirData ? models.map(runOf) : [];
  const resumed = args.includes("--resume") ? await resumedBy(args) : [];
  const bases = [
    ...values(needs.bases),
    ...resumed.flatMap((dir) => stringsIn(dir, "model", "teacher")),
  ];
  const adaptersBases = models.flatMap((dir) => stringsIn(dir, "base_model_name_or_path"));
  const data = [...runs, ...resumed].flatMap((dir) => stringsIn(dir, "data", "texts"));
  const downloads = needs.usesHub || bases.some(isOnHub);
  const hub = downloads || adaptersBases.some(isOnHub) ? hubCacheDir(environment) : [];
  const files = [
    ...values(needs.files),
    ...needs.report === undefined ? [] : [".", ...inputs].map((dir) => join(dir, needs.report!)),
  ];

  const write = [
    ...folders,
    ...files.flatMap((file) => [file, `${file}.partial`]),
    // Models of 8 bits and digests are kept there.
    ...models.map((dir) => join(dir, "onnx")),
    ...needs.opensState ? stateFiles(args) : [],
    ...downloads ? hub : [],
    ...temporaryDir === undefined ? [] : [temporaryDir],
  ].flatMap(withTarget);
  const read = [
    fileURLToPath(new URL("../", import.meta.url)),
    packagesDir(),
    ...[
      ...values(needs.reads),
      ...inputs,
      // Without --model the last run is looked for there.
      ...needs.usesModels && values(["model"]).length === 0 ? ["runs"] : [],
      ...models,
      ...runs,
      ...data,
      ...bases,
      ...adaptersBases,
      ...hub,
    ].flatMap(withTarget),
    ...write,
  ];
  const isMember = needs.listens && lastOf(args, "cluster") !== undefined;
  const net = [
    ...await serversOf(needs, args),
    ...needs.listens ? listened(args) : [],
    ...needs.opensState && isUrl(stateOf(args)) ? hostOf(stateOf(args)) : [],
    ...downloads ? [...HUB_HOSTS, ...mirrorOf(environment)] : [],
  ];
  const system = [...needs.system ?? [], ...isMember ? ["systemMemoryInfo"] : []];
  const variables = [
    ...needs.variables ?? [],
    ...needs.startsJobs ? SYSTEM_VARIABLES : [],
    ...hub.length > 0 || needs.startsJobs ? HUB_VARIABLES : [],
  ];
  return [
    // The lines that 'predict --mixed' reads name models.
    ...args.includes("--mixed") ? ["--allow-read"] : pathPermission("read", read),
    ...pathPermission("write", write),
    // The servers of a cluster tell each other their addresses.
    ...isMember ? ["--allow-net"] : listFlag("net", net),
    ...listFlag("run", needs.startsJobs ? ["deno"] : []),
    ...listFlag("sys", system),
    ...listFlag("env", variables),
  ];
}

function listFlag(name: string, values: readonly string[]): string[] {
  return values.length === 0 ? [] : [`--allow-${name}=${[...new Set(values)]}`];
}

/** The values of an option, as commander would find them; `--texts` takes several at once. */
function valuesOf(args: readonly string[], option: string): string[] {
  const flag = `--${option}`;
  return args.flatMap((arg, i) => {
    if (arg.startsWith(`${flag}=`)) return [arg.slice(flag.length + 1)];
    if (arg !== flag) return [];
    const [first, ...more] = args.slice(i + 1);
    if (first === undefined) return [];
    const end = more.findIndex((word) => word.startsWith("-"));
    return option === "texts" ? [first, ...end < 0 ? more : more.slice(0, end)] : [first];
  });
}

/** The value of an option that takes the last one. */
function lastOf(args: readonly string[], option: string): string | undefined {
  return valuesOf(args, option).at(-1);
}

/**
 * The words that may be a subcommand's own arguments. One behind an option is mostly its value, and
 * no path.
 */
function argumentsOf(args: readonly string[]): string[] {
  return args.filter((arg, i) =>
    !arg.startsWith("-") && (!args[i - 1]?.startsWith("-") || infoOf(arg) !== undefined)
  );
}

/** The folders of the trained models that a command uses. */
async function modelsOf(args: readonly string[]): Promise<string[]> {
  const given = valuesOf(args, "model");
  if (given.length > 0 || args.includes("--help") || args.includes("--mixed")) return given;
  const { lastFinishedRun } = await import("../training/folder/run_list.ts");
  // Where there is none, the command says so.
  return await lastFinishedRun().then((dir) => [dir], () => []);
}

/** The folder of the run that a model comes from: a checkpoint belongs to its run. */
function runOf(model: string): string {
  const parent = dirname(resolve(model));
  return basename(parent) === "checkpoints" ? dirname(parent) : model;
}

/** The folders of the runs that `--resume` goes on with. */
async function resumedBy(args: readonly string[]): Promise<string[]> {
  const given = valuesOf(args, "out");
  if (given.length > 0) return given;
  const { lastUnfinishedRun } = await import("../training/folder/run_list.ts");
  return await lastUnfinishedRun().then((dir) => [dir], () => []);
}

/** The files in which the folder of a run, a search or an adapter names what it needs. */
const NAMING_FILES = ["training_args.json", "tune.json", "adapter_config.json"];

/** The strings that such files of a folder hold under some keys, alone or in lists. */
function stringsIn(dir: string, ...keys: string[]): string[] {
  const found: unknown[] = [];
  for (const file of NAMING_FILES.map((name) => join(dir, name))) {
    try {
      // Reading a pipe may take forever.
      if (!Deno.statSync(file).isFile) continue;
      JSON.parse(Deno.readTextFileSync(file).replace(/^\uFEFF/, ""), (key, value) => {
        if (keys.includes(key)) found.push(...[value].flat());
        return value;
      });
    } catch {
      // The command says what is wrong with a file that it needs.
    }
  }
  return found.filter((value) => typeof value === "string");
}

/** The file or URL of a server's state. */
function stateOf(args: readonly string[]): string {
  return lastOf(args, "kv") ?? join(lastOf(args, "runs") ?? "runs", STATE_FILE);
}

/** The files of a server's state; its lock is beside the file to which links lead. */
function stateFiles(args: readonly string[]): string[] {
  const kv = stateOf(args);
  return isUrl(kv) ? [] : [kv, `${realPathSync(kv)}.lock`];
}

function isOnHub(model: string): boolean {
  return isHubName(model) && !isFolder(model);
}

function isFolder(path: string): boolean {
  return infoOf(path)?.isDirectory ?? false;
}

function infoOf(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch {
    return undefined;
  }
}

/** The hub's cache; nothing where the environment does not tell its place, as the command says. */
function hubCacheDir(environment: Environment): string[] {
  try {
    return [cacheDirOf(environment)];
  } catch {
    return [];
  }
}

/** The host that stands for the hub; it may send files from any of its ports. */
function mirrorOf(environment: Environment): string[] {
  const url = URL.parse(environment.get("HF_ENDPOINT") ?? "");
  return url === null || url.hostname === "" ? [] : [url.hostname];
}

function isUrl(text: string): boolean {
  return /^https?:/.test(text);
}

/** The servers that options name, or those that are reached without them. */
async function serversOf({ servers = {} }: Needs, args: readonly string[]): Promise<string[]> {
  const hosts: string[] = [];
  for (const [option, otherwise] of Object.entries(servers)) {
    const given = valuesOf(args, option).flatMap((urls) => urls.split(","));
    hosts.push(...given.flatMap(hostOf), ...given.length === 0 ? otherwise : []);
    if (option !== "server" || given.length > 0) continue;
    const address = await serverAddress(lastOf(args, "runs") ?? "runs");
    hosts.push(...hostOf(address ?? ""));
  }
  return hosts;
}

/** The ports of URLs that name none. */
const PORTS: Readonly<Record<string, string>> = { "http:": "80", "https:": "443", "nats:": "4222" };

/** The host and port of a URL, by default one of NATS; nothing for a text that is no URL. */
function hostOf(text: string): string[] {
  const url = URL.parse(text.includes("://") ? text : `nats://${text.trim()}`);
  if (url === null || url.hostname === "") return [];
  return [`${url.hostname}:${url.port || (PORTS[url.protocol] ?? "4222")}`];
}

/** What a server needs to listen; with port 0 it is given one. */
function listened(args: readonly string[]): string[] {
  const host = lastOf(args, "host") ?? "127.0.0.1";
  const port = lastOf(args, "port") ?? "8000";
  const own = hostOf(`http://${host.includes(":") ? `[${host}]` : host}:${port}`);
  return [
    ...port === "0" ? own.map((address) => address.replace(/:0$/, "")) : own,
    // Connections are handed over to Deno's own server.
    "127.0.0.1",
  ];
}

/** The interval at which the shell of npx is looked for. */
const WATCH_MS = 1000;

/** Resolves when the shell that has started `deno task`, the parent of this process, has ended. */
async function shellEnded(): Promise<void> {
  const args = ["-o", "ppid=", "-p", String(Deno.ppid)];
  const { stdout } = await new Deno.Command("ps", { args, stderr: "null" }).output();
  const shell = Number(new TextDecoder().decode(stdout));
  while (isAlive(shell)) await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
}

function isAlive(pid: number): boolean {
  try {
    // No signal is sent.
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Runs a command, passes signals on to it, and returns its exit code. */
async function run(args: readonly string[]): Promise<number> {
  const isNative = args[0] === "native";
  const command = isNative ? args.slice(1) : args;
  const temporaryDir = needsOf(command).makesTemporary
    ? Deno.makeTempDirSync({ prefix: "graft-" })
    : undefined;
  try {
    const permissions = await permissionsOf(command, { environment: Deno.env, temporaryDir });
    const native = isNative ? pathPermission("ffi", [fileURLToPath(NATIVE_PACKAGES)]) : [];
    const main = fileURLToPath(new URL("../main.ts", import.meta.url));
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", ...permissions, ...native, main, ...command],
      // TMPDIR everywhere but on Windows.
      ...temporaryDir !== undefined && { env: { TMPDIR: temporaryDir, TMP: temporaryDir } },
    }).spawn();
    passSignalsTo(child);
    return (await child.status).code;
  } finally {
    if (temporaryDir !== undefined) Deno.removeSync(temporaryDir, { recursive: true });
  }
}

function passSignalsTo(child: Deno.ChildProcess): void {
  const stop = (signal: "SIGINT" | "SIGTERM") => {
    try {
      child.kill(signal);
    } catch {
      // The process has ended already.
    }
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => stop(signal));
  }
  // npx passes a signal to its shell alone, which ends and leaves `deno task` and this process.
  if (Deno.env.get("npm_lifecycle_event") === "npx") {
    // Without `ps`, the command has to be stopped itself.
    shellEnded().then(() => stop("SIGTERM")).catch(() => {});
  }
}

if (import.meta.main) Deno.exit(await run(Deno.args));
