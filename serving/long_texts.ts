/**
 * Cuts long texts into tokens. The time grows with the text, so it is done in a Worker: the thread
 * that answers has other requests to answer.
 *
 * @module
 */
import * as Comlink from "comlink";
import { SerialQueue } from "../lib/serial_queue.ts";
import type { TokenizedText } from "../models/text/words.ts";
import type { EncodedText } from "../models/inference/inference.ts";
import type { Encoding } from "../models/text/tokenizer.ts";
import type { workerApi } from "./long_texts_worker.ts";
import type { ModelVersion } from "./model_reference.ts";

/** The characters from which a text is long; cutting a shorter one takes some milliseconds. */
const LONG_TEXT = 5000;

/** The time within which the Worker and a model's tokenizer must be loaded. */
const LOADING_TIMEOUT_MS = 60_000;

/** A text takes too long to be cut into tokens. */
export class SlowTextError extends Error {
  override name = "SlowTextError";
}

/** Whether a text, or a pair, is to be encoded by {@link LongTexts}. */
export function isLong(text: string, pair = ""): boolean {
  return text.length + pair.length >= LONG_TEXT;
}

/** The Worker and its functions. Comlink ends its service when these are collected as garbage. */
interface TextsWorker {
  worker: Worker;
  api: Comlink.Remote<typeof workerApi>;
}

/** Cuts long texts into tokens, one after another, in a Worker that starts with the first. */
export class LongTexts implements Disposable {
  readonly #timeoutMs: number;
  readonly #queue = new SerialQueue();
  #worker: TextsWorker | undefined;

  /** @param timeoutMs The time after which a text is given up. */
  constructor(timeoutMs = 10_000) {
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Encodes a text, or a pair, as a model takes it.
   *
   * @param maxLength The most tokens of the text.
   * @throws {SlowTextError} If it takes too long.
   * @throws The signal's reason, if it has aborted when it is the text's turn.
   */
  encode(
    { dir, version }: ModelVersion,
    maxLength: number,
    text: string,
    pair?: string,
    signal?: AbortSignal,
  ): Promise<(Encoding & EncodedText)[]> {
    return this.#run(
      dir,
      version,
      (api) => api.encode(dir, version, maxLength, text, pair),
      signal,
    );
  }

  /**
   * Cuts a text into tokens and words, as an `Explainer` takes it.
   *
   * @throws {SlowTextError} If it takes too long.
   */
  tokenize({ dir, version }: ModelVersion, text: string): Promise<TokenizedText> {
    return this.#run(dir, version, (api) => api.tokenize(dir, version, text));
  }

  #run<Result>(
    dir: string,
    version: number,
    work: (api: Comlink.Remote<typeof workerApi>) => Promise<Result>,
    signal?: AbortSignal,
  ): Promise<Result> {
    return this.#queue.run(async () => {
      signal?.throwIfAborted();
      const { worker, api } = this.#worker ??= startWorker();
      // A busy machine takes long to start it, which is not the text's fault.
      await this.#inTime(worker, LOADING_TIMEOUT_MS, api.load(dir, version));
      return await this.#inTime(worker, this.#timeoutMs, work(api));
    });
  }

  /** Awaits the Worker's answer, and ends the Worker if it fails or takes too long. */
  async #inTime<Result>(worker: Worker, timeoutMs: number, work: Promise<Result>): Promise<Result> {
    const { promise: failed, reject } = Promise.withResolvers<never>();
    const giveUp = (message: string) => {
      this[Symbol.dispose]();
      reject(new SlowTextError(message));
    };
    const onError = (event: ErrorEvent) => {
      event.preventDefault();
      giveUp(`cannot be cut into tokens: ${event.message}`);
    };
    worker.addEventListener("error", onError);
    const timer = setTimeout(
      () => giveUp(`takes more than ${timeoutMs / 1000} seconds to be cut into tokens`),
      timeoutMs,
    );
    try {
      return await Promise.race([work, failed]);
    } finally {
      clearTimeout(timer);
      worker.removeEventListener("error", onError);
    }
  }

  /** Ends the Worker; another starts when needed. */
  [Symbol.dispose](): void {
    this.#worker?.worker.terminate();
    this.#worker = undefined;
  }
}

function startWorker(): TextsWorker {
  const worker = new Worker(new URL("./long_texts_worker.ts", import.meta.url), { type: "module" });
  return { worker, api: Comlink.wrap(worker as unknown as Comlink.Endpoint) };
}
