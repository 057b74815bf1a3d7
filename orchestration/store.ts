/**
 * The store of the server's state: small values under keys, with few operations, so that another
 * store can replace Deno KV.
 *
 * @module
 */
import { DiskFullError, isDiskFull } from "../lib/files.ts";

/** The key of a value; keys are ordered part by part, numbers before texts. */
export type Key = readonly (string | number)[];

/** A value as it was at some moment. */
export interface Entry<Value> {
  value: Value;
  /** The version, which is different after each write. */
  version: string;
}

/** A write: a value, or `undefined` to delete the key. */
export interface Write {
  key: Key;
  value?: unknown;
  /** The time after which the value may be deleted. */
  expireInMs?: number;
}

/** The precondition of a write: the key's version, or that the key does not exist. */
export interface Expected {
  key: Key;
  version: string | undefined;
}

/** The range of keys to list: those with a prefix, or a part of them. */
export interface Range {
  prefix: Key;
  /** The first key, inclusive. */
  start?: Key;
  /** The end of the range, exclusive. */
  end?: Key;
  /** The most entries; all by default. */
  limit?: number;
  /** Whether to list the last key first. */
  reverse?: boolean;
}

/** A store of values; every operation ends in time or throws. */
export interface Store extends Disposable {
  /** The value of a key. */
  get<Value>(key: Key): Promise<Entry<Value> | undefined>;
  /** Writes all values, or none if a precondition fails, and returns whether they were written. */
  put(writes: readonly Write[], expected?: readonly Expected[]): Promise<boolean>;
  /** The values of a range in the order of their keys. */
  list<Value>(range: Range): Promise<{ key: Key; value: Value }[]>;
  /** Yields a key's value now and after changes, not always each one, until the signal aborts. */
  watch<Value>(key: Key, signal: AbortSignal): AsyncGenerator<Value | undefined>;
}

/** The state cannot be read, so that no operation is possible; the message says why. */
export class StateError extends Error {
  override name = "StateError";
}

/** The store cannot be reached at the moment. */
export class StoreUnavailableError extends StateError {
  override name = "StoreUnavailableError";
}

/** Stands in for a state that cannot be read, and refuses every operation. */
export class UnreadableStore implements Store {
  readonly #reason: string;

  /** @param reason The reason why the state cannot be read. */
  constructor(reason: string) {
    this.#reason = reason;
  }

  get(): Promise<never> {
    return this.#refuse();
  }

  put(): Promise<never> {
    return this.#refuse();
  }

  list(): Promise<never> {
    return this.#refuse();
  }

  // deno-lint-ignore require-yield
  async *watch(): AsyncGenerator<never> {
    await this.#refuse();
  }

  [Symbol.dispose](): void {}

  #refuse(): Promise<never> {
    return Promise.reject(new StateError(this.#reason));
  }
}

/** The store did not answer in time. */
export class StoreTimeoutError extends Error {
  override name = "StoreTimeoutError";
}

/** The most time that an operation may take, with its retries. */
const DEADLINE_MS = 10_000;
const FIRST_PAUSE_MS = 5;
/** The most writes that Deno KV takes at once. */
export const MAX_WRITES = 500;
/** The most entries that Deno KV gives at once; its default of 100 makes a list twice as slow. */
const BATCH_SIZE = 1000;
/** Deno KV's error when another process writes at the same moment. */
const LOCKED = /database is locked/;

/** Keeps values in Deno KV. */
export class KvStore implements Store {
  readonly #kv: Deno.Kv;

  /** @param kv The database, which is closed with this store. */
  constructor(kv: Deno.Kv) {
    this.#kv = kv;
  }

  /** Opens a file, the KV database of a URL, or one in memory for `:memory:`. */
  static async open(path: string): Promise<KvStore> {
    return new KvStore(await Deno.openKv(path));
  }

  async get<Value>(key: Key): Promise<Entry<Value> | undefined> {
    const { value, versionstamp } = await inTime(() => this.#kv.get<Value>(key));
    return versionstamp === null ? undefined : { value, version: versionstamp };
  }

  async put(writes: readonly Write[], expected: readonly Expected[] = []): Promise<boolean> {
    const { ok } = await inTime(() => {
      const change = this.#kv.atomic();
      for (const { key, version } of expected) {
        change.check({ key, versionstamp: version ?? null });
      }
      for (const { key, value, expireInMs } of writes) {
        if (value === undefined) change.delete(key);
        else change.set(key, value, expireInMs === undefined ? {} : { expireIn: expireInMs });
      }
      return change.commit();
    });
    return ok;
  }

  async list<Value>(
    { prefix, start, end, limit, reverse = false }: Range,
  ): Promise<{ key: Key; value: Value }[]> {
    const selector = {
      prefix,
      ...start !== undefined && { start },
      ...end !== undefined && { end },
    } as Deno.KvListSelector;
    const options: Deno.KvListOptions = {
      reverse,
      // A batch is read whole, whatever the limit.
      batchSize: Math.min(BATCH_SIZE, limit ?? BATCH_SIZE),
      ...limit !== undefined && { limit },
    };
    const entries = await inTime(() => Array.fromAsync(this.#kv.list<Value>(selector, options)));
    return entries.map(({ key, value }) => ({ key: key as Key, value }));
  }

  async *watch<Value>(key: Key, signal: AbortSignal): AsyncGenerator<Value | undefined> {
    if (signal.aborted) return;
    const changes = this.#kv.watch<[Value]>([key]).getReader();
    const stop = () => void changes.cancel();
    signal.addEventListener("abort", stop, { once: true });
    try {
      for (let next = await changes.read(); !next.done; next = await changes.read()) {
        yield next.value[0].value ?? undefined;
      }
    } finally {
      signal.removeEventListener("abort", stop);
      await changes.cancel();
    }
  }

  [Symbol.dispose](): void {
    this.#kv.close();
  }
}

/**
 * Retries an operation while another process writes.
 *
 * @throws {StoreTimeoutError} If it takes too long.
 */
async function inTime<Result>(operation: () => Promise<Result>): Promise<Result> {
  const deadline = performance.now() + DEADLINE_MS;
  for (let pauseMs = FIRST_PAUSE_MS;; pauseMs *= 2) {
    try {
      return await before(deadline, operation());
    } catch (error) {
      if (isDiskFull(error)) throw new DiskFullError("Cannot write the state: the disk is full");
      if (!(error instanceof Error) || !LOCKED.test(error.message)) throw error;
      if (performance.now() + pauseMs > deadline) throw timeout();
    }
    // The jitter keeps waiting processes from retrying at the same moment.
    await new Promise((resolve) => setTimeout(resolve, pauseMs * (0.5 + Math.random())));
  }
}

async function before<Result>(deadline: number, work: Promise<Result>): Promise<Result> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(timeout()), Math.max(0, deadline - performance.now()));
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function timeout(): StoreTimeoutError {
  return new StoreTimeoutError(`The store did not answer within ${DEADLINE_MS / 1000} s`);
}
