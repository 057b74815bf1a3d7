/**
 * The subprocesses that work at present.
 *
 * @module
 */
import type { Job, JobMessage } from "./job.ts";
import { JobProcess, type SpawnWorker } from "./job_process.ts";

/** Subprocesses by the id of the run or evaluation that each works on. */
export class JobProcesses {
  readonly #spawn: SpawnWorker;
  readonly #heartbeatTimeoutMs: number;
  readonly #processes = new Map<string, JobProcess>();
  #stopping = false;

  /** @param heartbeatTimeoutMs The silence after which a subprocess is ended. */
  constructor(spawn: SpawnWorker, heartbeatTimeoutMs: number) {
    this.#spawn = spawn;
    this.#heartbeatTimeoutMs = heartbeatTimeoutMs;
  }

  /** The subprocess that works on a run or an evaluation. */
  get(id: string): JobProcess | undefined {
    return this.#processes.get(id);
  }

  /**
   * Runs a job in a subprocess, and returns the reason for its end.
   *
   * @param onMessage Called with each message but heartbeats, one after another.
   */
  async run(
    id: string,
    job: Job,
    onMessage: (message: JobMessage) => Promise<void>,
  ): Promise<string> {
    const process = new JobProcess(this.#spawn, job, onMessage, this.#heartbeatTimeoutMs);
    this.#processes.set(id, process);
    if (this.#stopping) process.stop();
    try {
      return await process.end;
    } finally {
      this.#processes.delete(id);
    }
  }

  /** Asks all to end within a step, with a checkpoint; those that start later too. */
  stop(): void {
    this.#stopping = true;
    for (const process of this.#processes.values()) process.stop();
  }

  /** Ends all at once. */
  kill(): void {
    for (const process of this.#processes.values()) process.kill();
  }
}
