/**
 * The models in memory, and the executor that runs them.
 *
 * @module
 */
import { join } from "node:path";
import { ADAPTER_WEIGHTS_FILE, baseDirOf, isAdapter, readAdapter } from "../models/adapter.ts";
import { AdapterBank } from "../models/adapter_bank.ts";
import { modelBytes } from "../models/classifier.ts";
import { TextClassifier } from "../models/text_classifier.ts";
import type { Executor } from "../onnx/executor.ts";
import type { ModelVersion } from "./model_registry.ts";
import { servedAdapter, servedClassifier, type ServedModel } from "./served_model.ts";

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
  model: ServedModel;
}

interface Entry {
  version: ModelVersion;
  executor: Executor;
  model: Promise<ServedModel>;
  /** Of an adapter. */
  base: Base | undefined;
  bytes: number;
  users: number;
  lastUsedAt: number;
}

/** A base that is loaded for its adapters, and leaves with the last of them. */
interface Base {
  dir: string;
  executor: Executor;
  bank: Promise<AdapterBank>;
  bytes: number;
}

/** What is known of a model before it is loaded. */
interface Files {
  bytes: number;
  /** Of an adapter's base. */
  base?: { dir: string; bytes: number };
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
      const files = await filesOf(version.dir);
      // Another request may have begun to load it by now.
      entry = this.#find(version, executor) ?? this.#load(version, executor, files);
    }
    entry.users++;
    const release = () => {
      entry.users--;
      entry.lastUsedAt = performance.now();
    };
    try {
      return { model: await entry.model, [Symbol.dispose]: release };
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

  #load(version: ModelVersion, executor: Executor, files: Files): Entry {
    const unloaded = this.#makeRoom(version, files);
    const base = files.base && this.#base(executor, files.base, unloaded);
    const model = base === undefined
      ? unloaded.then(() => TextClassifier.load(executor, version.dir)).then(servedClassifier)
      : this.#loadAdapter(version, base);
    const entry: Entry = {
      version,
      executor,
      model,
      base,
      bytes: files.bytes,
      users: 0,
      lastUsedAt: performance.now(),
    };
    this.#entries.push(entry);
    // A model that could not be loaded is tried again next time.
    model.catch(() => void this.#unload(entry));
    return entry;
  }

  #base(
    executor: Executor,
    { dir, bytes }: Required<Files>["base"],
    after: Promise<unknown>,
  ): Base {
    const loaded = this.#bases(executor).find((base) => base.dir === dir);
    const bank = () => AdapterBank.load(executor, dir, { memoryBudgetBytes: Infinity });
    return loaded ?? { dir, executor, bytes, bank: after.then(bank) };
  }

  async #loadAdapter({ dir }: ModelVersion, base: Base): Promise<ServedModel> {
    const bank = await base.bank;
    // The same adapter may be on its way out under another name.
    const name = crypto.randomUUID();
    const adapter = await bank.add(name, await readAdapter(dir));
    // deno-lint-ignore require-await
    return servedAdapter(bank, name, adapter, async () => bank.remove(name));
  }

  /** The bases that adapters in memory stand on. */
  #bases(executor: Executor): Base[] {
    const bases = this.#living().flatMap(({ base }) => base ?? []);
    return [...new Set(bases)].filter((base) => base.executor === executor);
  }

  /** Unloads what is in no use, the least recently used first, until there is room. */
  #makeRoom({ name }: ModelVersion, files: Files): Promise<unknown> {
    const kept = this.#living().toSorted((a, b) => a.lastUsedAt - b.lastUsedAt);
    const needed = () => {
      const loaded = kept.some(({ base }) => base !== undefined && base.dir === files.base?.dir);
      const bases = new Set(kept.flatMap(({ base }) => base ?? []));
      return files.bytes + (loaded ? 0 : files.base?.bytes ?? 0) +
        [...kept, ...bases].reduce((sum, { bytes }) => sum + bytes, 0);
    };
    const leaving: Entry[] = [];
    while (needed() > this.#maxBytes) {
      const index = kept.findIndex(({ users }) => users === 0);
      if (index < 0) {
        throw new NoRoomError(
          `Cannot load model '${name}': with the models in use it takes ${needed()} bytes, and ` +
            `there are ${this.#maxBytes}`,
        );
      }
      leaving.push(...kept.splice(index, 1));
    }
    return Promise.all(leaving.map((entry) => this.#unload(entry)));
  }

  async #unload(entry: Entry): Promise<void> {
    const { base, executor } = entry;
    this.#entries = this.#entries.filter((it) => it !== entry);
    const isLast = base !== undefined && !this.#bases(executor).includes(base);
    // One that could not be loaded, or whose executor has ended, holds nothing.
    await entry.model.then((model) => model.release()).catch(() => {});
    if (isLast) await base.bank.then((bank) => bank.release()).catch(() => {});
  }
}

async function filesOf(dir: string): Promise<Files> {
  if (!await isAdapter(dir)) return { bytes: await modelBytes(dir) };
  const { size } = await Deno.stat(join(dir, ADAPTER_WEIGHTS_FILE));
  const baseDir = await Deno.realPath(await baseDirOf(await readAdapter(dir)));
  return { bytes: size, base: { dir: baseDir, bytes: await modelBytes(baseDir) } };
}

function isSame(a: ModelVersion, b: ModelVersion): boolean {
  return a.dir === b.dir && a.finishedAt.getTime() === b.finishedAt.getTime();
}
