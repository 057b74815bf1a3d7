/**
 * Makes data sets that come over HTTP, in subprocesses: a client's files may take a long time and
 * much memory to read.
 *
 * @module
 */
import type { IncomingDataset } from "../data/preparation/ingest.ts";
import { DiskFullError } from "../lib/files.ts";
import { SerialQueue } from "../lib/serial_queue.ts";
import { UserError } from "../lib/user_error.ts";
import type { ErrorMessage } from "./job.ts";
import { JobProcess, type SpawnWorker, spawnWorker } from "./job_process.ts";

/** The subprocess that read a data set was ended by something other than its content. */
export class IngestionEndedError extends Error {
  override name = "IngestionEndedError";
}

/** Settings of {@link Ingestion}. */
export interface IngestionOptions {
  spawn?: SpawnWorker;
  /** The most time that a subprocess may take; an hour by default. */
  timeoutMs?: number;
}

/** Makes data sets; those that clients have sent, one after another. */
export class Ingestion {
  readonly #spawn: SpawnWorker;
  readonly #timeoutMs: number;
  readonly #queue = new SerialQueue();

  constructor(
    { spawn = spawnWorker, timeoutMs = 3600_000 }: IngestionOptions = {},
  ) {
    this.#spawn = spawn;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Makes a data set, as `ingest` does.
   *
   * @param signal Ends the work.
   * @throws {UserError} If a file is bad, or it takes too long.
   * @throws {IngestionEndedError} If something else ends the subprocess.
   */
  run(dataset: IncomingDataset, signal?: AbortSignal): Promise<void> {
    // Files that are there already were not sent by a client.
    if (dataset.incoming === undefined) return this.#run(dataset, signal);
    return this.#queue.run(() => this.#run(dataset, signal));
  }

  async #run(dataset: IncomingDataset, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    let isDone = false;
    let error: ErrorMessage | undefined;
    const process = new JobProcess(
      this.#spawn,
      { type: "ingest", ...dataset },
      // deno-lint-ignore require-await
      async (message) => {
        if (message.type === "ingested") isDone = true;
        if (message.type === "error") error = message;
      },
      // Only the deadline counts: an audit of many rows says nothing for minutes.
      2 * this.#timeoutMs,
    );
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      process.kill();
    }, this.#timeoutMs);
    const kill = () => process.kill();
    signal?.addEventListener("abort", kill, { once: true });
    const reason = await process.end.finally(() => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", kill);
    });
    if (isDone) return;
    signal?.throwIfAborted();
    if (isLate) {
      const seconds = this.#timeoutMs / 1000;
      throw new UserError(`Cannot read the data set: it took more than ${seconds} seconds`);
    }
    if (error === undefined) {
      throw new IngestionEndedError(
        `Cannot read the data set '${dataset.name}': the process ended with ${reason}; send it again`,
      );
    }
    const { message, fault } = error;
    if (fault === "disk_full") throw new DiskFullError(message);
    if (fault === "user") throw new UserError(message);
    throw new Error(`Cannot read the data set '${dataset.name}': ${message}`);
  }
}
