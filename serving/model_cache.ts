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
  COMMON_TABLES,
  tablesOf,
} from "../models/inference/adapter_bank.ts";
import { ADAPTER_WEIGHTS_FILE } from "../models/formats/adapter_files.ts";
import { readConfig } from "../models/family.ts";
import { TextClassifier } from "../models/inference/text_classifier.ts";
import { partnerSize } from "../models/partner/partner_file.ts";
import { type Dtype, weightBytes } from "../models/weights.ts";
import { type Executor, ExecutorTimeoutError } from "../onnx/runtime/executor.ts";
import { SerialQueue } from "../lib/serial_queue.ts";
import type { ModelVersion } from "./model_registry.ts";
import { servedAdapter, servedClassifier, type ServedModel } from "./served_model.ts";

/** The time until a model is tried again for which an executor had to be ended. */
const REFUSAL_MS = 600_000;

/** There is no room for a model beside those that are in use. */
export class NoRoomError extends Error {
  override name = "NoRoomError";
}

/** Settings of {@link ModelCache}. */
export interface ModelCacheOptions {
  /** Called at the start, and again after an executor has ended. */
  startExecutor: () => Promise<Executor>;
  /** How the weights of models are held; float32 by default. */
  dtype?: Dtype | undefined;
  /** The most that the weights of the loaded models may take together. */
  maxBytes?: number | undefined;
  /** A model is unloaded when nobody has used it for this time. */
  idleMs?: number | undefined;
  /** How long a model waits for others to be in use no more; 5 seconds by default. */
  roomTimeoutMs?: number | undefined;
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
  /** Whether it leaves when it is in use no more. */
  forgotten: boolean;
}

/** A base that is loaded for its adapters, and leaves with the last of them. */
interface Base {
  dir: string;
  executor: Executor;
  bank: Promise<AdapterBank>;
  /** The tables that its bank has for them. */
  tables: ReadonlyMap<string, number>;
  bytes: number;
}

/** The memory that a model will take. */
interface Sizes {
  bytes: number;
  /** Of an adapter's base. */
  base?: { dir: string; bytes: number; tables: ReadonlyMap<string, number> };
}

/** Loads models when they are asked for, and unloads those that were not for the longest time. */
export class ModelCache implements AsyncDisposable {
  readonly #startExecutor: () => Promise<Executor>;
  /** How the weights of models are held. */
  readonly dtype: Dtype;
  readonly #maxBytes: number;
  readonly #idleMs: number | undefined;
  readonly #roomTimeoutMs: number;
  #executor: Promise<Executor> | undefined;
  /** The last that has started. */
  #running: Executor | undefined;
  #disposed = false;
  #entries: Entry[] = [];
  /** Models for which executors were ended, with the reason and when they are tried again. */
  readonly #refused: { version: ModelVersion; reason: string; until: number }[] = [];
  readonly #admissions = new SerialQueue();
  /** How many wait for their turn or have it. */
  #admitting = 0;
  /** Settles when a model is in use no more. */
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

  /** The models that are loaded or being loaded, how many bytes their weights take, and when each was last used. */
  get loaded(): { version: ModelVersion; bytes: number; lastUsedAt: Date }[] {
    return this.#living().map(({ version, bytes, lastUsedAt }) => ({
      version,
      bytes,
      lastUsedAt: new Date(performance.timeOrigin + lastUsedAt),
    }));
  }

  /** Whether the executor has started and answers. */
  get isRunning(): boolean {
    return this.#running?.ended === false;
  }

  /** The executor; a new one where the last has ended or did not start. */
  async executor(): Promise<Executor> {
    const current = this.#executor;
    if (current !== undefined && !(await current).ended) return await current;
    if (this.#executor !== current) return await this.executor();
    const started = this.#startExecutor();
    this.#executor = started;
    started.then((executor) => {
      this.#running = executor;
      // At once, not when somebody asks: until then the server would not be ready.
      void executor.whenEnded.then(() => {
        if (!this.#disposed) this.executor().catch(() => {});
      });
    }, () => {
      if (this.#executor === started) this.#executor = undefined;
    });
    return await started;
  }

  /**
   * A model, which is loaded unless it is, and stays so while it is in use.
   *
   * @throws {NoRoomError} If models in use leave no room for it.
   * @throws {UserError} If its folder holds no model that can be used, one that is larger than all
   * room there is, or one that took too long a while ago.
   * @throws {ExecutorEndedError} If the executor ends meanwhile.
   */
  async borrow(version: ModelVersion): Promise<BorrowedModel> {
    this.#checkRefused(version);
    const executor = await this.executor();
    // Where somebody waits for room all others queue: else models that are always in use would never
    // leave.
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

  /** Unloads what was not used for `idleMs`. */
  async unloadIdle(): Promise<void> {
    if (this.#idleMs === undefined) return;
    const before = performance.now() - this.#idleMs;
    const idle = this.#entries.filter((it) => it.users === 0 && it.lastUsedAt <= before);
    await Promise.all(idle.map((entry) => this.#unload(entry)));
  }

  /** Unloads these versions, those in use when they are so no more. */
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

  /** Others would wait for the executor again and again. */
  #refuse(version: ModelVersion, { message: reason }: ExecutorTimeoutError): void {
    console.error(`Left model '${version.name}@${version.version}' alone for a while: ${reason}`);
    this.#refused.push({ version, reason, until: performance.now() + REFUSAL_MS });
  }

  /** Loads a model unless it is, in its turn, and counts a user. */
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

  /** Without those whose executor has ended. */
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

  /** A base that is loaded, unless an adapter changes what no adapter before it has changed. */
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
    // The same adapter may be on its way out under another name.
    const name = crypto.randomUUID();
    const adapter = await this.#addTo(bank, name, stored, base);
    // deno-lint-ignore require-await
    return servedAdapter(bank, name, adapter, async () => bank.remove(name));
  }

  /** Adds an adapter to a bank; if that is full others leave, the least recently used first. */
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

  /** The bases that adapters in memory stand on. */
  #bases(executor: Executor): Base[] {
    const bases = this.#living().flatMap(({ base }) => base ?? []);
    return [...new Set(bases)].filter((base) => base.executor === executor);
  }

  /** Unloads what is in no use, the least recently used first, until there is room. */
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
    // One that could not be loaded, or whose executor has ended, holds nothing.
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
  // Every bank has those of prefixes and prompts.
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
