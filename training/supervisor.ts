/**
 * Runs queued training runs, one at a time, each in a subprocess: a run that dies, of memory for
 * example, harms neither the server nor its state.
 *
 * @module
 */
import type { FinishEvent } from "./events.ts";
import { isOver, MAX_ERROR_LENGTH, type Run, type RunResult, type RunStore } from "./run_store.ts";
import { type JobMessage, textLines, type TrainJob } from "./job.ts";

/** Step events closer together than this are left out of a run's stream. */
const STEP_EVENT_INTERVAL_MS = 250;
/** How many of the subprocess's last words are kept to explain its death. */
const ERROR_LINES = 5;

/** Starts a training subprocess and gives its streams. */
export type SpawnWorker = () => Deno.ChildProcess;

/** The subprocess of {@link Supervisor}: this program's command `worker`. */
export function spawnWorker(): Deno.ChildProcess {
  const main = new URL("../main.ts", import.meta.url).href;
  // Native code, where the server itself may run it.
  const { state } = Deno.permissions.querySync({ name: "ffi" });
  const permissions = ["--allow-read", "--allow-write"];
  if (state === "granted") permissions.push("--allow-ffi");
  // Under `--allow-run=deno` the name is allowed and the path of the same executable is not.
  return new Deno.Command("deno", {
    args: ["run", "--quiet", "--no-prompt", ...permissions, main, "worker"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Takes runs from the queue and sees them through. */
export class Supervisor {
  readonly #store: RunStore;
  readonly #spawn: SpawnWorker;
  readonly #queue: { id: string; job: TrainJob }[] = [];
  #endChild: (() => Promise<void>) | undefined;
  #working: Promise<void> | undefined;
  #closed = false;

  constructor(store: RunStore, spawn: SpawnWorker = spawnWorker) {
    this.#store = store;
    this.#spawn = spawn;
  }

  /** Whether no run is taken any more. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Marks as failed what a server that stopped has left unfinished. */
  async recover(): Promise<void> {
    const error = "the server stopped before the run was over";
    const now = new Date().toISOString();
    for (const run of await this.#store.list()) {
      if (isOver(run)) continue;
      await this.#store.setState(run.id, "failed", { error, finished_at: now });
    }
    for (const evaluation of await this.#store.listEvaluations()) {
      if (isOver(evaluation)) continue;
      await this.#store.putEvaluation({ ...evaluation, state: "failed", error, finished_at: now });
    }
  }

  /**
   * Writes a run into the store and queues it.
   *
   * @throws {RangeError} If the supervisor is closed.
   */
  async submit(run: Run, job: TrainJob): Promise<void> {
    if (this.#closed) throw new RangeError("Cannot queue a run: the supervisor is closed");
    await this.#store.create(run);
    this.#queue.push({ id: run.id, job });
    this.#working ??= this.#work().finally(() => this.#working = undefined);
  }

  /** Ends the subprocess that runs, starts no other, and marks as failed what is unfinished. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#endChild?.();
    await this.#working;
    await this.recover();
  }

  async #work(): Promise<void> {
    let next;
    while (!this.#closed && (next = this.#queue.shift()) !== undefined) {
      const { id, job } = next;
      try {
        await this.#run(id, job);
      } catch (error) {
        if (this.#closed) return;
        const message = error instanceof Error ? error.message : String(error);
        await this.#store.setState(id, "failed", {
          error: message.slice(0, MAX_ERROR_LENGTH),
          finished_at: new Date().toISOString(),
        });
      }
    }
  }

  /** Trains in a subprocess; throws with the reason if it does not end well. */
  async #run(id: string, job: TrainJob): Promise<void> {
    await this.#store.setState(id, "running", { started_at: new Date().toISOString() });
    if (this.#closed) return;
    const child = this.#spawn();
    const input = child.stdin.getWriter();
    // A worker ends itself when its standard input ends. A signal would only reach what was spawned,
    // which may be a wrapper around Deno.
    this.#endChild = () => input.close().catch(() => {});
    const lastWords = readLastLines(child.stderr);
    try {
      // A worker that is dead already is explained by its exit code.
      await input.write(new TextEncoder().encode(JSON.stringify(job) + "\n")).catch(() => {});
      const finished = await this.#follow(id, child.stdout);
      const { success, code, signal } = await child.status;
      if (!success || !finished) {
        const words = (await lastWords).join("\n");
        throw new Error(
          `the training process ended with ${signal ?? `exit code ${code}`}: ${words}`,
        );
      }
    } finally {
      await this.#endChild();
      this.#endChild = undefined;
      await child.status;
    }
    await this.#store.setState(id, "succeeded", { finished_at: new Date().toISOString() });
  }

  /** Stores what a worker reports; whether it has finished. */
  async #follow(id: string, output: ReadableStream<Uint8Array>): Promise<boolean> {
    let lastStepAt = -Infinity;
    let finished = false;
    for await (const line of textLines(output)) {
      const message: JobMessage = JSON.parse(line);
      if (message.type === "error") throw new Error(message.message);
      if (message.type === "finish") {
        finished = true;
        const result = runResult(message);
        await this.#store.append(id, { type: "finish", ...result }, { result });
        continue;
      }
      if (message.type === "step") {
        if (performance.now() - lastStepAt < STEP_EVENT_INTERVAL_MS) continue;
        lastStepAt = performance.now();
      }
      await this.#store.append(id, message);
    }
    return finished;
  }
}

function runResult({ type: _, metrics, ...result }: FinishEvent): RunResult {
  const summary = Object.entries(metrics)
    .filter(([key]) => key !== "per_class" && key !== "confusion_matrix");
  return { ...result, metrics: Object.fromEntries(summary) as unknown as RunResult["metrics"] };
}

async function readLastLines(bytes: ReadableStream<Uint8Array>): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of textLines(bytes)) {
    lines.push(line);
    if (lines.length > ERROR_LINES) lines.shift();
  }
  return lines;
}
