/**
 * A subprocess at work on one job: it can die in any way without harm to the server.
 *
 * @module
 */
import { dirname, isAbsolute, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { packagesDir, pathPermission, SYSTEM_VARIABLES } from "../lib/permissions.ts";
import { Silence } from "../lib/silence.ts";
import { UserError } from "../lib/user_error.ts";
import { OWN_MODELS } from "../models/formats/config.ts";
import { cacheDirOf, HUB_HOSTS, HUB_VARIABLES } from "../models/hub_cache.ts";
import { type Job, type JobMessage, type StopMessage, textLines } from "./job.ts";

/** How many of the subprocess's last words are kept to explain its death. */
const ERROR_LINES = 5;

/** Starts a subprocess that takes a job, and gives its streams. */
export type SpawnWorker = (job: Job) => Deno.ChildProcess;

/** How glibc is told to keep memory for the next step. */
const MALLOC_VARIABLES = ["MALLOC_ARENA_MAX", "MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_"];
/** What of this program is read as files: code of Workers, kernels, and what comes with it. */
const OWN_PARTS = ["../lib/", "../onnx/", "../models/bundled/", "../data/sample/"];

/**
 * The subprocess of the server: this program's command `worker`, which may do what its job needs.
 *
 * @param lowPriority Whether everything else that the machine does comes first, as requests do on a
 * server.
 */
export function spawnWorker(job: Job, { lowPriority = true } = {}): Deno.ChildProcess {
  const options: Deno.CommandOptions = {
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    ...environment(),
  };
  // A program that was compiled into one file has its permissions in it.
  if (Deno.build.standalone) {
    return new Deno.Command(Deno.execPath(), { args: ["worker"], ...options }).spawn();
  }
  const main = new URL("../main.ts", import.meta.url).href;
  const hub = namesHub(job) ? hubCacheDir() : undefined;
  const { read, write } = pathsOf(job);
  const own = OWN_PARTS.map((part) => fileURLToPath(new URL(part, import.meta.url)));
  const shared = hub === undefined ? [] : [hub];
  const permissions = [
    `--allow-sys=systemMemoryInfo${lowPriority && mayLower() ? ",setPriority" : ""}`,
    pathPermission("read", [...own, packagesDir(), ...read, ...write, ...shared]),
    pathPermission("write", [...write, ...shared]),
  ];
  // Native code and downloads, where the server itself may run and make them.
  if (may({ name: "ffi" })) permissions.push("--allow-ffi");
  if (hub !== undefined && may({ name: "net", host: HUB_HOSTS[0]! })) {
    permissions.push(`--allow-net=${hubHosts()}`);
  }
  if (mayRead(HUB_VARIABLES[0]!)) permissions.push(`--allow-env=${HUB_VARIABLES}`);
  // Under `--allow-run=deno` the name is allowed and the path of the same executable is not.
  return new Deno.Command("deno", {
    args: ["run", "--quiet", "--no-prompt", ...permissions, main, "worker"],
    ...options,
  }).spawn();
}

/** Only what it needs: Deno starts nothing under an `LD_LIBRARY_PATH`, as hosts with CUDA have it. */
function environment(): Pick<Deno.CommandOptions, "env" | "clearEnv"> {
  // Metrics would cost WebAssembly its threads, and the server tells of runs itself.
  const env: Record<string, string> = { OTEL_DENO: "false" };
  if (!mayRead("PATH")) return { env };
  for (const name of [...HUB_VARIABLES, ...SYSTEM_VARIABLES, ...MALLOC_VARIABLES]) {
    const value = mayRead(name) ? Deno.env.get(name) : undefined;
    if (value !== undefined) env[name] = value;
  }
  return { env, clearEnv: true };
}

/** The files and folders of a job; what it writes it may read. */
function pathsOf(job: Job): { read: string[]; write: string[] } {
  switch (job.type) {
    case "train":
      return { read: [job.dataDir, job.settings.model], write: [job.outDir] };
    case "evaluate": {
      const { modelDir, base, dataDir, file, rowsFile } = job;
      const read = [modelDir, dirname(file), base, dataDir].filter((path) => path !== undefined);
      const rows = rowsFile === undefined ? [] : [rowsFile, `${rowsFile}.partial`];
      // A model of 8 bits is kept there.
      return { read, write: [join(modelDir, "onnx"), ...rows] };
    }
    case "ingest": {
      const { dir, auditFile, incoming } = job;
      const come = incoming === undefined ? [] : [dirname(incoming.file)];
      return { read: [], write: [dir, auditFile, `${auditFile}.partial`, ...come] };
    }
  }
}

/** Whether a job needs a base that may be one of the hub's. */
function namesHub(job: Job): boolean {
  const base = job.type === "train"
    ? job.settings.model
    : job.type === "evaluate"
    ? job.base
    : undefined;
  return base !== undefined && !OWN_MODELS.includes(base) && !isAbsolute(base);
}

/** The cache of the hub, if this process may know where that is. */
export function hubCacheDir(): string | undefined {
  if (!mayRead(HUB_VARIABLES[0]!)) return undefined;
  try {
    return resolve(cacheDirOf(Deno.env));
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

function may(permission: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(permission).state === "granted";
}

/** Whether no `--deny-sys=setPriority` keeps processes as they are. */
function mayLower(): boolean {
  return Deno.permissions.querySync({ name: "sys", kind: "setPriority" }).state !== "denied";
}

function mayRead(variable: string): boolean {
  return may({ name: "env", variable });
}

/** The hub, and the mirror that takes its place. */
function hubHosts(): string[] {
  const mirror = mayRead(HUB_VARIABLES[0]!)
    ? URL.parse(Deno.env.get(HUB_VARIABLES[0]!) ?? "")
    : null;
  return mirror === null ? HUB_HOSTS : [...HUB_HOSTS, mirror.hostname];
}

/** A subprocess and what it says. */
export class JobProcess {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #onMessage: (message: JobMessage) => Promise<void>;
  #abandoned = false;
  #hung = false;
  readonly #silence: Silence;
  /**
   * Its end: the exit code or signal with its last words, or that it was silent for too long. It
   * throws what `onMessage` throws, and ends the subprocess then.
   */
  readonly end: Promise<string>;

  /**
   * @param onMessage Told what the subprocess says, but for heartbeats, one after the other.
   * @param heartbeatTimeoutMs A subprocess that is silent for so long is ended.
   */
  constructor(
    spawn: SpawnWorker,
    job: Job,
    onMessage: (message: JobMessage) => Promise<void>,
    heartbeatTimeoutMs: number,
  ) {
    this.#child = spawn(job);
    this.#input = this.#child.stdin.getWriter();
    this.#onMessage = onMessage;
    const { promise: abandoned, resolve: abandon } = Promise.withResolvers<void>();
    this.#silence = new Silence(heartbeatTimeoutMs, () => {
      this.#hung = true;
      this.kill();
      abandon();
    });
    this.#send(job);
    this.end = this.#follow(abandoned);
  }

  /** How long it has said nothing while this process listened. */
  get silentMs(): number {
    return this.#silence.ms;
  }

  /** Asks it to come to an end within a step, with a checkpoint. */
  stop(): void {
    this.#send({ type: "stop" });
  }

  /**
   * Ends it at once; what it still says is not heard.
   *
   * Its standard input ends too, as a signal reaches what was spawned alone, which may be a wrapper
   * around Deno.
   */
  kill(): void {
    this.#abandoned = true;
    this.#input.close().catch(() => {});
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
  }

  #send(message: Job | StopMessage): void {
    // A subprocess that is dead already is explained by its exit code.
    this.#input.write(new TextEncoder().encode(JSON.stringify(message) + "\n")).catch(() => {});
  }

  async #follow(abandoned: Promise<void>): Promise<string> {
    const lastWords = readLastLines(this.#child.stderr);
    try {
      await Promise.race([this.#listen(), abandoned]);
      if (this.#hung) return "no word for too long";
      const { code, signal } = await this.#child.status;
      const words = (await lastWords).join("\n");
      const reason = signal === null
        ? `exit code ${code}`
        : `${signal}${signal === "SIGKILL" ? ", as for want of memory" : ""}`;
      return words === "" ? reason : `${reason}: ${words}`;
    } finally {
      this.#silence[Symbol.dispose]();
      this.kill();
      await this.#child.status;
    }
  }

  async #listen(): Promise<void> {
    for await (const line of textLines(this.#child.stdout)) {
      if (this.#abandoned) return;
      this.#silence.interrupt();
      const message: JobMessage = JSON.parse(line);
      if (message.type === "heartbeat") continue;
      await this.#silence.suspend(this.#onMessage(message));
    }
  }
}

async function readLastLines(bytes: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of textLines(bytes)) {
    lines.push(line);
    if (lines.length > ERROR_LINES) lines.shift();
  }
  return lines;
}
