/**
 * The models in memory, and the executor that runs them.
 *
 * @module
 */
import { modelBytes } from "../models/classifier.ts";
import { TextClassifier } from "../models/text_classifier.ts";
import type { Executor } from "../onnx/executor.ts";
import type { ModelVersion } from "./model_registry.ts";

/** There is no room for a model beside those that are in use. */
export class NoRoomError extends Error {
  override name = "NoRoomError";
}

/** Settings of {@link ModelCache}. */
export interface ModelCacheOptions {
  /** Called at the start, and again after an executor has ended. */
  startExecutor: () => Promise<Executor>;
  /** The most that the files of the loaded models may hold together. */
  maxBytes?: number | undefined;
  /** A model that was not used for so long is unloaded. */
  idleMs?: number | undefined;
}

/** A model in use; dispose of it when that is over. */
export interface BorrowedModel extends Disposable {
  classifier: TextClassifier;
}

interface Entry {
  version: ModelVersion;
  executor: Executor;
  classifier: Promise<TextClassifier>;
  bytes: number;
  users: number;
  lastUsedAt: number;
}

/** Loads models when they are asked for, and unloads those that were not for the longest time. */
export class ModelCache implements AsyncDisposable {
  readonly #startExecutor: () => Promise<Executor>;
  readonly #maxBytes: number;
  readonly #idleMs: number | undefined;
  #executor: Promise<Executor> | undefined;
  #entries: Entry[] = [];
  #idleTimer: ReturnType<typeof setInterval> | undefined;

  constructor({ startExecutor, maxBytes = Infinity, idleMs }: ModelCacheOptions) {
    this.#startExecutor = startExecutor;
    this.#maxBytes = maxBytes;
    this.#idleMs = idleMs;
    if (idleMs === undefined) return;
    this.#idleTimer = setInterval(() => void this.unloadIdle(), Math.max(idleMs / 4, 10));
  }

  /** The models that are loaded or being loaded, and how many bytes their files hold. */
  get loaded(): { version: ModelVersion; bytes: number }[] {
    return this.#living().map(({ version, bytes }) => ({ version, bytes }));
  }

  /** The executor; a new one where the last has ended or did not start. */
  async executor(): Promise<Executor> {
    const current = this.#executor;
    if (current !== undefined && !(await current).ended) return await current;
    if (this.#executor !== current) return await this.executor();
    const started = this.#startExecutor();
    this.#executor = started;
    started.catch(() => {
      if (this.#executor === started) this.#executor = undefined;
    });
    return await started;
  }

  /**
   * A model, which is loaded unless it is, and stays so while it is in use.
   *
   * @throws {NoRoomError} If models in use leave no room for it.
   * @throws {UserError} If its folder holds no model that can be used.
   * @throws {ExecutorEndedError} If the executor ends meanwhile.
   */
  async borrow(version: ModelVersion): Promise<BorrowedModel> {
    const executor = await this.executor();
    let entry = this.#find(version, executor);
    if (entry === undefined) {
      const bytes = await modelBytes(version.dir);
      // Another request may have begun to load it by now.
      entry = this.#find(version, executor) ?? this.#load(version, executor, bytes);
    }
    entry.users++;
    const release = () => {
      entry.users--;
      entry.lastUsedAt = performance.now();
    };
    try {
      return { classifier: await entry.classifier, [Symbol.dispose]: release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Unloads what was not used for `idleMs`. */
  async unloadIdle(): Promise<void> {
    if (this.#idleMs === undefined) return;
    const before = performance.now() - this.#idleMs;
    const idle = this.#entries.filter((it) => it.users === 0 && it.lastUsedAt <= before);
    await Promise.all(idle.map((entry) => this.#unload(entry)));
  }

  /** Unloads these versions unless they are in use; then they leave like others that nobody asks for. */
  forget(versions: readonly ModelVersion[]): void {
    for (const entry of this.#entries) {
      if (!versions.some((version) => isSame(entry.version, version))) continue;
      if (entry.users === 0) void this.#unload(entry);
    }
  }

  /** Stops the executor. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#idleTimer);
    await this.#executor?.then((executor) => executor.close(), () => {});
  }

  #find(version: ModelVersion, executor: Executor): Entry | undefined {
    return this.#entries.find((it) => it.executor === executor && isSame(it.version, version));
  }

  /** Without those whose executor has ended. */
  #living(): Entry[] {
    return this.#entries = this.#entries.filter(({ executor }) => !executor.ended);
  }

  #load(version: ModelVersion, executor: Executor, bytes: number): Entry {
    const unloaded = this.#makeRoom(version, bytes);
    const classifier = unloaded.then(() => TextClassifier.load(executor, version.dir));
    const entry = { version, executor, classifier, bytes, users: 0, lastUsedAt: performance.now() };
    this.#entries.push(entry);
    // A model that could not be loaded is tried again next time.
    classifier.catch(() => this.#entries = this.#entries.filter((it) => it !== entry));
    return entry;
  }

  /** Unloads what is in no use, the least recently used first, until there is room. */
  #makeRoom({ name }: ModelVersion, bytes: number): Promise<unknown> {
    const living = this.#living();
    let room = this.#maxBytes - living.reduce((sum, entry) => sum + entry.bytes, 0);
    const leaving: Entry[] = [];
    const unused = living.filter(({ users }) => users === 0);
    for (const entry of unused.sort((a, b) => a.lastUsedAt - b.lastUsedAt)) {
      if (room >= bytes) break;
      room += entry.bytes;
      leaving.push(entry);
    }
    if (room < bytes) {
      throw new NoRoomError(
        `Cannot load model '${name}': it takes ${bytes} bytes, and of ${this.#maxBytes} there are ` +
          `${room} that models in use do not hold`,
      );
    }
    return Promise.all(leaving.map((entry) => this.#unload(entry)));
  }

  async #unload(entry: Entry): Promise<void> {
    this.#entries = this.#entries.filter((it) => it !== entry);
    // One that could not be loaded, or whose executor has ended, holds nothing.
    await entry.classifier.then((classifier) => classifier.release()).catch(() => {});
  }
}

function isSame(a: ModelVersion, b: ModelVersion): boolean {
  return a.dir === b.dir && a.finishedAt.getTime() === b.finishedAt.getTime();
}
