/**
 * The models in memory, and the executor that runs them.
 *
 * @module
 */
import { join } from "node:path";
import { UserError } from "../lib/user_error.ts";
import {
  baseDirOf,
  isAdapter,
  readAdapter,
  type StoredAdapter,
} from "../models/formats/adapter.ts";
import {
  AdapterBank,
  type BankedAdapter,
  BankFullError,
} from "../models/inference/adapter_bank.ts";
import { COMMON_TABLES, tablesOf } from "../models/inference/bank_tables.ts";
import { ADAPTER_WEIGHTS_FILE } from "../models/formats/adapter_files.ts";
import { readConfig } from "../models/family.ts";
import { TextClassifier } from "../models/inference/text_classifier.ts";
import { partnerSize } from "../models/partner/partner_file.ts";
import { type Dtype, weightBytes } from "../models/onnx_model.ts";
import { type Executor, ExecutorTimeoutError } from "../onnx/runtime/executor.ts";
import { SerialQueue } from "../lib/serial_queue.ts";
import type { ModelVersion } from "./model_reference.ts";
import { servedAdapter, servedClassifier, type ServedModel } from "./served_model.ts";

/** The time until a model that made an executor end is tried again. */
const REFUSAL_MS = 600_000;

/** The models in use leave no room for another. */
export class NoRoomError extends Error {
  override name = "NoRoomError";
}

/** Settings of {@link ModelCache}. */
export interface ModelCacheOptions {
  /** Starts an executor; called at the start, and again after one has ended. */
  startExecutor: () => Promise<Executor>;
  /** The type of the models' weights; float32 by default. */
  dtype?: Dtype | undefined;
  /** The most memory for the weights of all loaded models, in bytes. */
  maxBytes?: number | undefined;
  /** The time without use after which a model is unloaded. */
  idleMs?: number | undefined;
  /** How long a model waits for others to be released; 5 seconds by default. */
  roomTimeoutMs?: number | undefined;
}

/** A model in use, which must be disposed of afterwards. */
export interface BorrowedModel extends Disposable {
  model: ServedModel;
}

interface Entry {
  version: ModelVersion;
  executor: Executor;
  model: Promise<ServedModel>;
  /** The base of an adapter. */
  base: Base | undefined;
  bytes: number;
  users: number;
  lastUsedAt: number;
  /** Whether the model is unloaded as soon as it is no longer in use. */
  forgotten: boolean;
}

/** A base that is loaded for its adapters, and unloaded with the last of them. */
interface Base {
  dir: string;
  executor: Executor;
  bank: Promise<AdapterBank>;
  /** The tables of its bank. */
  tables: ReadonlyMap<string, number>;
  bytes: number;
}

/** The memory that a model needs. */
interface Sizes {
  bytes: number;
  /** The base of an adapter. */
  base?: { dir: string; bytes: number; tables: ReadonlyMap<string, number> };
}

/** Loads models on demand, and unloads the least recently used ones. */
export class ModelCache implements AsyncDisposable {
  readonly #startExecutor: () => Promise<Executor>;
  /** The type of the models' weights. */
  readonly dtype: Dtype;
  readonly #maxBytes: number;
  readonly #idleMs: number | undefined;
  readonly #roomTimeoutMs: number;
  #executor: Promise<Executor> | undefined;
  /** The last executor that has started. */
  #running: Executor | undefined;
  #disposed = false;
  #entries: Entry[] = [];
  /** The models that made executors end, with the reason and the time of the next try. */
  readonly #refused: { version: ModelVersion; reason: string; until: number }[] = [];
  readonly #admissions = new SerialQueue();
  /** The number of models being admitted or waiting for it. */
  #admitting = 0;
  /** Resolves when a model is released. */
  #released = Promise.withResolvers<void>();
  #idleTimer: ReturnType<typeof setInterval> | undefined;

  constructor(
    { startExecutor, dtype = "fp32", maxBytes = Infinity, idleMs, roomTimeoutMs = 5000 }:
      ModelCacheOptions,
  ) {
    this.#startExecutor = startExecutor;
    this.dtype = dtype;
    this.#maxBytes = maxBytes;
    this.#roomTimeoutMs = roomTimeoutMs;
    this.#idleMs = idleMs;
    if (idleMs === undefined) return;
    this.#idleTimer = setInterval(() => void this.unloadIdle(), Math.max(idleMs / 4, 10));
  }

  /** The loaded and loading models, with their weights' size in bytes and their last use. */
  get loaded(): { version: ModelVersion; bytes: number; lastUsedAt: Date }[] {
    return this.#living().map(({ version, bytes, lastUsedAt }) => ({
      version,
      bytes,
      lastUsedAt: new Date(performance.timeOrigin + lastUsedAt),
    }));
  }

  /** Whether the executor has started and has not ended. */
  get isRunning(): boolean {
    return this.#running?.ended === false;
  }

  /** The executor; a new one if the last has ended or did not start. */
  async executor(): Promise<Executor> {
    const current = this.#executor;
    if (current !== undefined && !(await current).ended) return await current;
    if (this.#executor !== current) return await this.executor();
    const started = this.#startExecutor();
    this.#executor = started;
    started.then((executor) => {
      this.#running = executor;
      // A new one starts at once, not on demand: until then the server would not be ready.
      void executor.whenEnded.then(() => {
        if (!this.#disposed) this.executor().catch(() => {});
      });
    }, () => {
      if (this.#executor === started) this.#executor = undefined;
    });
    return await started;
  }

  /**
   * Borrows a model, which is loaded if necessary and stays loaded while it is in use.
   *
   * @throws {NoRoomError} If models in use leave no room for it.
   * @throws {UserError} If its folder holds no usable model, the model is larger than the whole
   * memory for models, or it took too long a while ago.
   * @throws {ExecutorEndedError} If the executor ends meanwhile.
   */
  async borrow(version: ModelVersion): Promise<BorrowedModel> {
    this.#checkRefused(version);
    const executor = await this.executor();
    // While one model waits for room all others queue; otherwise models that are always in use
    // would never be unloaded.
    const loaded = this.#admitting === 0 ? this.#find(version, executor) : undefined;
    if (loaded !== undefined) loaded.users++;
    const entry = loaded ?? await this.#admit(version, executor);
    const release = () => this.#release(entry);
    try {
      return { model: await entry.model, [Symbol.dispose]: release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Unloads the models that have not been used for `idleMs`. */
  async unloadIdle(): Promise<void> {
    if (this.#idleMs === undefined) return;
    const before = performance.now() - this.#idleMs;
    const idle = this.#entries.filter((it) => it.users === 0 && it.lastUsedAt <= before);
    await Promise.all(idle.map((entry) => this.#unload(entry)));
  }

  /** Unloads these versions; those in use are unloaded when they are released. */
  forget(versions: readonly ModelVersion[]): void {
    for (const entry of this.#entries) {
      if (!versions.some((version) => isSame(entry.version, version))) continue;
      entry.forgotten = true;
      if (entry.users === 0) void this.#unload(entry);
    }
  }

  /** Stops the executor. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    clearInterval(this.#idleTimer);
    await this.#executor?.then((executor) => executor.close(), () => {});
  }

  #checkRefused(version: ModelVersion): void {
    const now = performance.now();
    const refused = this.#refused.find((it) => isSame(it.version, version) && now < it.until);
    if (refused === undefined) return;
    const minutes = Math.ceil((refused.until - now) / 60_000);
    throw new UserError(
      `Cannot use model '${version.name}': ${refused.reason}; it is tried again in ${minutes} minutes`,
    );
  }

  /** Refuses a model for a while, so that others need not wait for a new executor each time. */
  #refuse(version: ModelVersion, { message: reason }: ExecutorTimeoutError): void {
    console.error(`Left model '${version.name}@${version.version}' alone for a while: ${reason}`);
    this.#refused.push({ version, reason, until: performance.now() + REFUSAL_MS });
  }

  /** Loads a model in its turn, unless it is loaded, and counts a user. */
  async #admit(version: ModelVersion, executor: Executor): Promise<Entry> {
    this.#admitting++;
    try {
      return await this.#admissions.run(async () => {
        let entry = this.#find(version, executor);
        if (entry === undefined) {
          const sizes = await sizesOf(version.dir, this.dtype);
          await this.#makeRoom(version, sizes);
          entry = this.#load(version, executor, sizes);
        }
        entry.users++;
        return entry;
      });
    } finally {
      this.#admitting--;
    }
  }

  #release(entry: Entry): void {
    entry.users--;
    entry.lastUsedAt = performance.now();
    if (entry.users > 0) return;
    if (entry.forgotten) void this.#unload(entry);
    this.#released.resolve();
    this.#released = Promise.withResolvers();
  }

  #find(version: ModelVersion, executor: Executor): Entry | undefined {
    return this.#entries.find((it) => it.executor === executor && isSame(it.version, version));
  }

  /** The models whose executor has not ended. */
  #living(): Entry[] {
    return this.#entries = this.#entries.filter(({ executor }) => !executor.ended);
  }

  #load(version: ModelVersion, executor: Executor, sizes: Sizes): Entry {
    const refuse = (error: ExecutorTimeoutError) => this.#refuse(version, error);
    const base = sizes.base && this.#base(executor, sizes.base);
    const model = base === undefined
      ? TextClassifier.load(executor, version.dir, this.dtype)
        .then((classifier) => servedClassifier(classifier, refuse))
      : this.#loadAdapter(version, base);
    const entry: Entry = {
      version,
      executor,
      model,
      base,
      bytes: sizes.bytes,
      users: 0,
      lastUsedAt: performance.now(),
      forgotten: false,
    };
    this.#entries.push(entry);
    // A model that could not be loaded is tried again next time.
    model.catch((error) => {
      if (error instanceof ExecutorTimeoutError) refuse(error);
      void this.#unload(entry);
    });
    return entry;
  }

  /** The loaded base, or a new one if an adapter changes layers that none before it changed. */
  #base(executor: Executor, { dir, bytes, tables: own }: Required<Sizes>["base"]): Base {
    const loaded = this.#bases(executor).filter((base) => base.dir === dir);
    const suitable = loaded.find((base) => holdsAll(base.tables, own));
    if (suitable !== undefined) return suitable;
    const tables = new Map([...loaded.flatMap(({ tables }) => [...tables]), ...own]);
    const options = { memoryBudgetBytes: Infinity, dtype: this.dtype, tables };
    return { dir, executor, bytes, tables, bank: AdapterBank.load(executor, dir, options) };
  }

  async #loadAdapter({ dir }: ModelVersion, base: Base): Promise<ServedModel> {
    const bank = await base.bank;
    const stored = await readAdapter(dir);
    // The same adapter may still be leaving under another name.
    const name = crypto.randomUUID();
    const adapter = await this.#addTo(bank, name, stored, base);
    // deno-lint-ignore require-await
    return servedAdapter(bank, name, adapter, async () => bank.remove(name));
  }

  /** Adds an adapter to a bank; if that is full, the least recently used ones are unloaded. */
  async #addTo(
    bank: AdapterBank,
    name: string,
    stored: StoredAdapter,
    base: Base,
  ): Promise<BankedAdapter> {
    try {
      return await bank.add(name, stored);
    } catch (error) {
      if (!(error instanceof BankFullError)) throw error;
      const others = this.#living().filter((it) => it.base === base && it.users === 0);
      const idle = leastRecentlyUsed(others);
      if (idle === undefined) throw bank.size === 0 ? error : new NoRoomError(error.message);
      await this.#unload(idle);
      return await this.#addTo(bank, name, stored, base);
    }
  }

  /** The bases of the adapters in memory. */
  #bases(executor: Executor): Base[] {
    const bases = this.#living().flatMap(({ base }) => base ?? []);
    return [...new Set(bases)].filter((base) => base.executor === executor);
  }

  /** Unloads models that are not in use, the least recently used first, until there is room. */
  async #makeRoom({ name }: ModelVersion, { bytes, base }: Sizes): Promise<void> {
    const whole = bytes + (base?.bytes ?? 0);
    if (whole > this.#maxBytes) {
      throw new UserError(
        `Cannot load model '${name}': it takes ${whole} bytes, and all models together may take ` +
          `${this.#maxBytes}`,
      );
    }
    const needed = () => {
      const living = this.#living();
      const bases = new Set(living.flatMap(({ base }) => base ?? []));
      const isBaseLoaded = base !== undefined &&
        [...bases].some(({ dir, tables }) => dir === base.dir && holdsAll(tables, base.tables));
      return (isBaseLoaded ? bytes : whole) +
        [...living, ...bases].reduce((sum, { bytes }) => sum + bytes, 0);
    };
    const deadline = performance.now() + this.#roomTimeoutMs;
    while (needed() > this.#maxBytes) {
      const idle = leastRecentlyUsed(this.#entries.filter(({ users }) => users === 0));
      if (idle !== undefined) {
        await this.#unload(idle);
        continue;
      }
      if (await settlesWithin(this.#released.promise, deadline - performance.now())) continue;
      throw new NoRoomError(
        `Cannot load model '${name}': with the models in use it takes ${needed()} bytes, and ` +
          `there are ${this.#maxBytes}`,
      );
    }
  }

  async #unload(entry: Entry): Promise<void> {
    const { base, executor } = entry;
    this.#entries = this.#entries.filter((it) => it !== entry);
    const isLast = base !== undefined && !this.#bases(executor).includes(base);
    // A model that could not be loaded, or whose executor has ended, holds no memory.
    await entry.model.then((model) => model.release()).catch(() => {});
    if (isLast) await base.bank.then((bank) => bank.release()).catch(() => {});
  }
}

async function sizesOf(dir: string, dtype: Dtype): Promise<Sizes> {
  const partnerBytes = await partnerSize(dir);
  if (!await isAdapter(dir)) {
    return { bytes: weightBytes(await readConfig(dir), dtype) + partnerBytes };
  }
  const { size } = await Deno.stat(join(dir, ADAPTER_WEIGHTS_FILE));
  const adapter = await readAdapter(dir);
  const baseDir = await Deno.realPath(await baseDirOf(adapter));
  const config = await readConfig(baseDir);
  const tables = tablesOf([adapter], config);
  return {
    bytes: size + partnerBytes,
    base: { dir: baseDir, bytes: weightBytes(config, dtype), tables },
  };
}

function holdsAll(
  tables: ReadonlyMap<string, number>,
  wanted: ReadonlyMap<string, number>,
): boolean {
  // Every bank has the tables of prefixes and prompts.
  return [...wanted.keys()].every((table) => tables.has(table) || COMMON_TABLES.includes(table));
}

function isSame(a: ModelVersion, b: ModelVersion): boolean {
  return a.dir === b.dir && a.finishedAt.getTime() === b.finishedAt.getTime();
}

function leastRecentlyUsed(entries: readonly Entry[]): Entry | undefined {
  return entries.toSorted((a, b) => a.lastUsedAt - b.lastUsedAt)[0];
}

/** Whether a promise settles in time. */
async function settlesWithin(promise: Promise<void>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timeout = new Promise<boolean>((resolve) =>
    timer = setTimeout(resolve, Math.max(0, ms), false)
  );
  const settled = await Promise.race([promise.then(() => true), timeout]);
  clearTimeout(timer);
  return settled;
}
