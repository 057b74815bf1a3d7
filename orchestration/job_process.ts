/**
 * A subprocess at work on one job: it can die in any way without harm to the server.
 *
 * @module
 */
import { Silence } from "../lib/silence.ts";
import { type Job, type JobMessage, type StopMessage, textLines } from "./job.ts";

/** How many of the subprocess's last words are kept to explain its death. */
const ERROR_LINES = 5;

/** Starts a subprocess that takes a job, and gives its streams. */
export type SpawnWorker = () => Deno.ChildProcess;

/** What bases are downloaded with. */
const HUB_HOSTS = ["huggingface.co", "*.huggingface.co", "*.hf.co"];
const HUB_VARIABLES = [
  "HF_ENDPOINT",
  "HF_TOKEN",
  "HF_HOME",
  "HF_HUB_CACHE",
  "HF_HUB_OFFLINE",
  "XDG_CACHE_HOME",
  "HOME",
  "USERPROFILE",
];

/** The subprocess of the server: this program's command `worker`. */
export function spawnWorker(): Deno.ChildProcess {
  const options: Deno.CommandOptions = {
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    // Metrics would cost WebAssembly its threads, and the server tells of runs itself.
    env: { OTEL_DENO: "false" },
  };
  // A program that was compiled into one file has its permissions in it.
  if (Deno.build.standalone) {
    return new Deno.Command(Deno.execPath(), { args: ["worker"], ...options }).spawn();
  }
  const main = new URL("../main.ts", import.meta.url).href;
  const may = (permission: Deno.PermissionDescriptor) =>
    Deno.permissions.querySync(permission).state === "granted";
  const permissions = ["--allow-read", "--allow-write", "--allow-sys=setPriority,systemMemoryInfo"];
  // Native code and downloads, where the server itself may run and make them.
  if (may({ name: "ffi" })) permissions.push("--allow-ffi");
  if (may({ name: "net", host: HUB_HOSTS[0]! })) permissions.push(`--allow-net=${hubHosts()}`);
  if (may({ name: "env", variable: HUB_VARIABLES[0]! })) {
    permissions.push(`--allow-env=${HUB_VARIABLES}`);
  }
  // Under `--allow-run=deno` the name is allowed and the path of the same executable is not.
  return new Deno.Command("deno", {
    args: ["run", "--quiet", "--no-prompt", ...permissions, main, "worker"],
    ...options,
  }).spawn();
}

/** The hub, and the mirror that takes its place. */
function hubHosts(): string[] {
  const { state } = Deno.permissions.querySync({ name: "env", variable: HUB_VARIABLES[0]! });
  const mirror = state === "granted" ? URL.parse(Deno.env.get(HUB_VARIABLES[0]!) ?? "") : null;
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
    this.#child = spawn();
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
