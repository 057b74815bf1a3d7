/**
 * Encodes texts in Workers, beside the training.
 *
 * @module
 */
import * as Comlink from "comlink";
import { join } from "node:path";
import { SerialQueue } from "../lib/serial_queue.ts";
import type { Tokenizer } from "../models/text/tokenizer.ts";
import type { EncodedBatch } from "./encoded_batch.ts";
import type { workerApi } from "./encoding_worker.ts";

/** The most Workers: more would only wait for one another's memory. */
const MOST_WORKERS = 4;

/** A Worker, and the calls to it. */
interface EncodingWorker {
  worker: Worker;
  api: Comlink.Remote<typeof workerApi>;
  /** Rejects if the Worker breaks down. */
  failed: Promise<never>;
  queue: SerialQueue;
  /** The number of calls that it has not answered. */
  waiting: number;
}

/** Encodes texts in Workers: in one on two cores, in up to four on more. */
export class EncodingWorkers implements Disposable {
  readonly #workers: readonly EncodingWorker[];

  private constructor(workers: readonly EncodingWorker[]) {
    this.#workers = workers;
  }

  /**
   * Starts the Workers.
   *
   * @param dir An empty folder for the tokenizer's files.
   */
  static async start(tokenizer: Tokenizer, dir: string): Promise<EncodingWorkers> {
    await Deno.mkdir(dir, { recursive: true });
    for (const [name, content] of Object.entries(tokenizer.files())) {
      await Deno.writeTextFile(join(dir, name), content);
    }
    const cores = navigator.hardwareConcurrency;
    const count = Math.max(1, Math.min(MOST_WORKERS, cores - 1));
    const encoder = new EncodingWorkers(Array.from({ length: count }, startWorker));
    try {
      await Promise.all(
        encoder.#workers.map(({ api, failed }) => Promise.race([api.open(dir), failed])),
      );
      return encoder;
    } catch (error) {
      encoder[Symbol.dispose]();
      throw error;
    }
  }

  /** The number of Workers. */
  get count(): number {
    return this.#workers.length;
  }

  /** Encodes texts. */
  async encode(texts: readonly string[]): Promise<EncodedBatch> {
    const worker = this.#workers.reduce((a, b) => b.waiting < a.waiting ? b : a);
    worker.waiting++;
    try {
      return await worker.queue.run(() => Promise.race([worker.api.encode(texts), worker.failed]));
    } finally {
      worker.waiting--;
    }
  }

  [Symbol.dispose](): void {
    for (const { worker } of this.#workers) worker.terminate();
  }
}

function startWorker(): EncodingWorker {
  const worker = new Worker(new URL("./encoding_worker.ts", import.meta.url), { type: "module" });
  const { promise: failed, reject } = Promise.withResolvers<never>();
  // The error reaches whoever waits for the Worker.
  failed.catch(() => {});
  worker.addEventListener("error", (event) => {
    event.preventDefault();
    reject(new Error(`Texts cannot be encoded: ${event.message}`));
  });
  return {
    worker,
    api: Comlink.wrap<typeof workerApi>(worker),
    failed,
    queue: new SerialQueue(),
    waiting: 0,
  };
}
