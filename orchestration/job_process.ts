/**
 * A subprocess that works on one job: it can die in any way without harm to the server.
 *
 * @module
 */
import { constants, setPriority } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { packagesDir, pathPermission, SYSTEM_VARIABLES, withTarget } from "../lib/permissions.ts";
import { Watchdog } from "../lib/watchdog.ts";
import { UserError } from "../lib/user_error.ts";
import { NATIVE_PACKAGES } from "../onnx/runtime/device.ts";
import { OWN_MODELS } from "../models/own_models.ts";
import { cacheDirOf, HUB_HOSTS, HUB_VARIABLES } from "../models/hub_cache.ts";
import { type Job, type JobMessage, type StopMessage, textLines } from "./job.ts";

/** The number of lines of the subprocess's last words that are kept to explain its death. */
const ERROR_LINES = 5;

/** Starts a subprocess that takes a job, and returns it. */
export type SpawnWorker = (job: Job) => Deno.ChildProcess;

/** The variables that tell glibc to keep memory for the next step. */
const MALLOC_VARIABLES = ["MALLOC_ARENA_MAX", "MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_"];
/** The parts of this program that are read as files: code of Workers, kernels, and their data. */
const OWN_PARTS = ["../lib/", "../onnx/", "../models/bundled/", "../data/sample/"];

/**
 * The heap of a process that reads a data set grows by little before garbage is looked for: a
 * million rows take 0.7 GB and not 1.2, and a fifth more of its time.
 */
const SMALL_HEAP = "--v8-flags=--heap-growing-percent=20";

/**
 * Starts the server's subprocess: this program's command `worker`, with permissions for its job.
 *
 * @param lowPriority Whether everything else on the machine comes first, such as requests to a
 * server.
 */
export function spawnWorker(job: Job, { lowPriority = true } = {}): Deno.ChildProcess {
  const child = workerCommand(job).spawn();
  if (lowPriority) lowerPriority(child);
  return child;
}

/** The command of a job's subprocess. */
function workerCommand(job: Job): Deno.Command {
  const options: Deno.CommandOptions = {
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    ...environment(),
  };
  // A compiled program has its permissions built in.
  if (Deno.build.standalone) {
    return new Deno.Command(Deno.execPath(), { args: ["worker"], ...options });
  }
  const main = new URL("../main.ts", import.meta.url).href;
  const hub = namesHub(job) ? hubCacheDir() : undefined;
  const { read, write } = pathsOf(job);
  const own = OWN_PARTS.map((part) => fileURLToPath(new URL(part, import.meta.url)));
  const shared = hub === undefined ? [] : [hub];
  const permissions = [
    "--allow-sys=systemMemoryInfo",
    ...pathPermission("read", [...own, packagesDir(), ...read, ...write, ...shared]),
    ...pathPermission("write", [...write, ...shared]),
  ];
  // Native code and downloads are allowed where the server itself is allowed them.
  if (may({ name: "ffi", path: NATIVE_PACKAGES })) {
    permissions.push(...pathPermission("ffi", [fileURLToPath(NATIVE_PACKAGES)]));
  }
  if (hub !== undefined && may({ name: "net", host: HUB_HOSTS[0]! })) {
    permissions.push(`--allow-net=${hubHosts()}`);
  }
  if (mayRead(HUB_VARIABLES[0]!)) permissions.push(`--allow-env=${HUB_VARIABLES}`);
  const heap = job.type === "ingest" ? [SMALL_HEAP] : [];
  // Under `--allow-run=deno` the name is allowed and the path of the same executable is not.
  const args = ["run", "--quiet", "--no-prompt", ...heap, ...permissions, main, "worker"];
  return new Deno.Command("deno", { args, ...options });
}

/**
 * Lowers the priority of a new subprocess, if this process may. All its threads inherit that of the
 * first, which is all that there is so early; by the time it could do so itself, V8 has others.
 */
function lowerPriority({ pid }: Deno.ChildProcess): void {
  if (!may({ name: "sys", kind: "setPriority" })) return;
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch {
    // It has ended already.
  }
}

/** Only the variables it needs: Deno starts nothing under CUDA hosts' `LD_LIBRARY_PATH`. */
function environment(): Pick<Deno.CommandOptions, "env" | "clearEnv"> {
  // Metrics would cost WebAssembly its threads, and the server reports runs itself.
  const env: Record<string, string> = { OTEL_DENO: "false" };
  if (!mayRead("PATH")) return { env };
  for (const name of [...HUB_VARIABLES, ...SYSTEM_VARIABLES, ...MALLOC_VARIABLES]) {
    const value = mayRead(name) ? Deno.env.get(name) : undefined;
    if (value !== undefined) env[name] = value;
  }
  return { env, clearEnv: true };
}

/** The files and folders of a job; it may read whatever it writes. */
function pathsOf(job: Job): { read: string[]; write: string[] } {
  switch (job.type) {
    case "train":
      return { read: [job.dataDir, ...pathsOfBase(job.settings.model)], write: [job.outDir] };
    case "evaluate": {
      const { modelDir, base, dataDir, file, rowsFile } = job;
      const bases = base === undefined ? [] : pathsOfBase(base);
      const read = [modelDir, dirname(file), ...bases, dataDir].filter((path) =>
        path !== undefined
      );
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

/** What a job reads of a base: a folder that the server's flags name, or a model of the hub. */
function pathsOfBase(base: string): string[] {
  return isAbsolute(base) ? withTarget(base) : [base];
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

/** The hub's cache, if this process may know where it is. */
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

function mayRead(variable: string): boolean {
  return may({ name: "env", variable });
}

/** The hosts of the hub, and of the mirror that replaces it. */
function hubHosts(): string[] {
  const mirror = mayRead(HUB_VARIABLES[0]!)
    ? URL.parse(Deno.env.get(HUB_VARIABLES[0]!) ?? "")
    : null;
  return mirror === null ? HUB_HOSTS : [...HUB_HOSTS, mirror.hostname];
}

/** A subprocess and its messages. */
export class JobProcess {
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #onMessage: (message: JobMessage) => Promise<void>;
  #abandoned = false;
  #hung = false;
  readonly #watchdog: Watchdog;
  /**
   * Resolves when it has ended: to the exit code or signal with its last words, or to the fact that
   * it was silent for too long. It rejects with what `onMessage` throws, and the subprocess is then
   * ended.
   */
  readonly end: Promise<string>;

  /**
   * @param onMessage Called with each message but heartbeats, one after another.
   * @param heartbeatTimeoutMs The silence after which the subprocess is ended.
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
    this.#watchdog = new Watchdog(heartbeatTimeoutMs, () => {
      this.#hung = true;
      this.kill();
      abandon();
    });
    this.#send(job);
    this.end = this.#follow(abandoned);
  }

  /** How long the subprocess has been silent while this process listened. */
  get silentMs(): number {
    return this.#watchdog.silentMs;
  }

  /** Asks the subprocess to end within a step, with a checkpoint. */
  stop(): void {
    this.#send({ type: "stop" });
  }

  /**
   * Ends the subprocess at once; its further messages are ignored.
   *
   * Its standard input is closed too, as a signal reaches only the process that was spawned, which
   * may be a wrapper around Deno.
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
    // The exit code explains a subprocess that is dead already.
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
      this.#watchdog[Symbol.dispose]();
      this.kill();
      await this.#child.status;
    }
  }

  async #listen(): Promise<void> {
    for await (const line of textLines(this.#child.stdout)) {
      if (this.#abandoned) return;
      this.#watchdog.reset();
      const message: JobMessage = JSON.parse(line);
      if (message.type === "heartbeat") continue;
      await this.#watchdog.suspend(this.#onMessage(message));
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
