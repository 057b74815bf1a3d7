/**
 * Where the server keeps its state: small values under keys, behind few operations, so that another
 * store can take the place of Deno KV.
 *
 * @module
 */
import { DiskFullError, isDiskFull } from "../lib/files.ts";

/** A value's place; keys are ordered part by part, numbers before texts. */
export type Key = readonly (string | number)[];

/** A value as it was at some moment. */
export interface Entry<Value> {
  value: Value;
  /** Differs after each write. */
  version: string;
}

/** A write: a value, or nothing where the key is to go. */
export interface Write {
  key: Key;
  value?: unknown;
  /** After so long the value may be forgotten. */
  expireInMs?: number;
}

/** What a write relies on: the version that a key has, or that there is nothing. */
export interface Expected {
  key: Key;
  version: string | undefined;
}

/** Which keys are listed: those that begin with some parts, perhaps only some of them. */
export interface Range {
  prefix: Key;
  /** The first key, itself included. */
  start?: Key;
  /** The first key after the range. */
  end?: Key;
  /** The most entries; without it, all. */
  limit?: number;
  /** Whether the last key comes first. */
  reverse?: boolean;
}

/** Keeps values; every operation ends in time or throws. */
export interface Store extends Disposable {
  /** The value of a key. */
  get<Value>(key: Key): Promise<Entry<Value> | undefined>;
  /** Writes all or, if something is not as expected, nothing; whether it was written. */
  put(writes: readonly Write[], expected?: readonly Expected[]): Promise<boolean>;
  /** The values of a range in the order of their keys. */
  list<Value>(range: Range): Promise<{ key: Key; value: Value }[]>;
  /** The value of a key, now and after changes, of which some may be left out; ends with the signal. */
  watch<Value>(key: Key, signal: AbortSignal): AsyncGenerator<Value | undefined>;
}

/** The state cannot be read, so that nothing can be done with it; the message says why. */
export class StateError extends Error {
  override name = "StateError";
}

/** The state cannot be reached; it may be in a moment. */
export class StoreUnavailableError extends StateError {
  override name = "StoreUnavailableError";
}

/** Stands where the state cannot be read, and refuses everything. */
export class UnreadableStore implements Store {
  readonly #reason: string;

  /** @param reason Why it cannot be read. */
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

/** How long an operation may take, with what is tried again. */
const DEADLINE_MS = 10_000;
const FIRST_PAUSE_MS = 5;
/** Deno KV gives no more entries at once; with its default of 100 a list takes twice as long. */
const BATCH_SIZE = 1000;
/** What Deno KV throws where another process writes at the same moment. */
const LOCKED = /database is locked/;

/** Keeps values in Deno KV. */
export class KvStore implements Store {
  readonly #kv: Deno.Kv;

  /** @param kv The database, which is closed with this. */
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
      batchSize: BATCH_SIZE,
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
 * Tries again while another process writes.
 *
 * @throws {StoreTimeoutError} If that takes too long.
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
    // Not all that wait come back at the same moment.
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
