/**
 * A bucket of values that every member of a cluster has in memory: changes arrive as they are made.
 *
 * @module
 */
import type { KV, KvWatchEntry } from "@nats-io/kv";
import { setTimeout as pause } from "node:timers/promises";
import { SerialQueue } from "../../lib/serial_queue.ts";
import { StoreUnavailableError } from "../store.ts";
import { type Cluster, isConflict } from "./connection.ts";

/** A value as it is stored. */
interface Stored<Value> {
  value: Value;
  /** The id of the write, by which a writer whose answer was lost recognises its own. */
  write: string;
}

/** A value as it was at some moment. */
interface Entry<Value> extends Stored<Value> {
  revision: number;
}

/**
 * The interval at which the bucket's last change is compared with the last that a watch reported: a watch whose
 * NATS node is behind may say nothing for ever.
 */
const CHECK_MS = 10_000;
/** The number of watches in a row that may say nothing while a bucket is opened. */
const MAX_SILENT = 4;

/** Valid keys; NATS takes no others. */
const KEY = /^[-/_=.a-zA-Z0-9]{1,200}$/;

/** Values by key in NATS, with a summary of each in memory. */
export class WatchedBucket<Value, Summary = Value> {
  readonly #cluster: Cluster;
  readonly #bucket: KV;
  readonly #summarize: (value: Value) => Summary;
  readonly #known = new Map<string, { revision: number; summary: Summary | undefined }>();
  readonly #listeners = new Set<(key: string, value: Value | undefined) => void>();
  readonly #listening = new SerialQueue();
  #stop: () => void = () => {};
  #isClosed = false;
  /** The last revision that a watch has reported. */
  #heard = 0;
  #onHeard = Promise.withResolvers<void>();

  private constructor(cluster: Cluster, bucket: KV, summarize: (value: Value) => Summary) {
    this.#cluster = cluster;
    this.#bucket = bucket;
    this.#summarize = summarize;
  }

  /**
   * Opens a bucket, and reads all of it.
   *
   * @param summarize Turns a value into the summary that is kept in memory.
   * @throws {StoreUnavailableError} If the cluster does not send all values.
   */
  static async open<Value, Summary = Value>(
    cluster: Cluster,
    name: string,
    summarize: (value: Value) => Summary,
    { checkMs = CHECK_MS }: { checkMs?: number } = {},
  ): Promise<WatchedBucket<Value, Summary>> {
    const bucket = await cluster.bucket(name);
    const opened = new WatchedBucket(cluster, bucket, summarize);
    await opened.#load(checkMs);
    void opened.#follow(checkMs);
    return opened;
  }

  /** The summaries of all keys. */
  *entries(): Generator<[string, Summary]> {
    for (const [key, { summary }] of this.#known) if (summary !== undefined) yield [key, summary];
  }

  /** The summary of a key, as of the last news. */
  summary(key: string): Summary | undefined {
    return this.#known.get(key)?.summary;
  }

  /** Calls a function after each change, whoever made it, until the result is disposed of. */
  listen(listener: (key: string, value: Value | undefined) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** The value of a key, which may be any text. */
  async get(key: string): Promise<Value | undefined> {
    return (await this.#read(key))?.value;
  }

  /** Writes the value of a key that has none, and returns whether it was written. */
  async create(key: string, value: Value): Promise<boolean> {
    return await this.#write(key, value, undefined);
  }

  /**
   * Changes a value.
   *
   * @param change Gets the value, or `undefined` if there is none; it is called again if another
   * change came between. If it returns nothing, nothing is changed.
   */
  async update<Changed extends Value | undefined>(
    key: string,
    change: (value: Value | undefined) => Changed | Promise<Changed>,
  ): Promise<Changed> {
    while (true) {
      const entry = await this.#read(key);
      const value = await change(entry?.value);
      if (value === undefined || await this.#write(key, value, entry)) return value;
    }
  }

  /** Deletes a key. */
  async delete(key: string): Promise<void> {
    await this.#cluster.reach(() => this.#bucket.delete(key));
    this.#apply(key, undefined, Infinity);
  }

  /** Stops listening to changes. */
  close(): void {
    this.#isClosed = true;
    this.#stop();
    this.#listeners.clear();
  }

  async #read(key: string): Promise<Entry<Value> | undefined> {
    if (!KEY.test(key)) return undefined;
    const entry = await this.#cluster.reach(() => this.#bucket.get(key));
    if (entry === null || entry.operation !== "PUT") return undefined;
    return { ...entry.json<Stored<Value>>(), revision: entry.revision };
  }

  /** Writes over the value that was read, and returns whether no other writer was faster. */
  async #write(key: string, value: Value, over: Entry<Value> | undefined): Promise<boolean> {
    const write = crypto.randomUUID();
    const bytes = JSON.stringify({ value, write } satisfies Stored<Value>);
    let tries = 0;
    const revision = await this.#cluster.reach(async () => {
      tries++;
      try {
        return over === undefined
          ? await this.#bucket.create(key, bytes)
          : await this.#bucket.update(key, bytes, over.revision);
      } catch (error) {
        if (!isConflict(error)) throw error;
        // The answer to the first try may have been lost, though the write was not.
        const found = tries > 1 ? await this.#bucket.get(key) : null;
        const isOwn = found?.operation === "PUT" && found.json<Stored<Value>>().write === write;
        return isOwn ? found.revision : undefined;
      }
    });
    if (revision === undefined) return false;
    this.#apply(key, value, revision);
    return true;
  }

  /** Reads all values. */
  async #load(checkMs: number): Promise<void> {
    const last = await this.#lastRevision();
    for (let silent = 0; this.#heard < last; silent++) {
      if (silent === MAX_SILENT) {
        throw new StoreUnavailableError("The cluster's NATS servers do not send what they keep");
      }
      await this.#listen();
      while (this.#heard < last && await this.#hears(checkMs)) silent = 0;
    }
    if (last === 0) await this.#listen();
  }

  /** Listens anew after each reconnection, and whenever a change has not come for a while. */
  async #follow(checkMs: number): Promise<void> {
    this.#cluster.onReconnect(() => void this.#listen().catch(() => {}));
    while (!this.#isClosed) {
      // Where the cluster does not answer, the next check looks again.
      const last = await this.#lastRevision().catch(() => 0);
      await pause(checkMs, undefined, { ref: false });
      if (this.#heard < last) await this.#listen().catch(() => {});
    }
  }

  /** Waits for a change, and returns whether one was heard of in time. */
  async #hears(ms: number): Promise<boolean> {
    const timeout = new AbortController();
    const silence = pause(ms, false, { signal: timeout.signal }).catch(() => false);
    const isHeard = await Promise.race([this.#onHeard.promise.then(() => true), silence]);
    timeout.abort();
    return isHeard;
  }

  /** The revision of the last change, whoever made it. */
  async #lastRevision(): Promise<number> {
    const { streamInfo } = await this.#cluster.reach(() => this.#bucket.status());
    return streamInfo.state.last_seq;
  }

  /** Begins a watch in place of the one before; it reports all values first. */
  async #listen(): Promise<void> {
    await this.#listening.run(async () => {
      this.#stop();
      if (this.#isClosed) return;
      const changes = await this.#cluster.reach(() => this.#bucket.watch());
      this.#stop = () => changes.stop();
      if (this.#isClosed) this.#stop();
      void (async () => {
        for await (const entry of changes) this.#take(entry);
      })();
    });
  }

  #take(entry: KvWatchEntry): void {
    const value = entry.operation === "PUT" ? entry.json<Stored<Value>>().value : undefined;
    this.#apply(entry.key, value, entry.revision);
    this.#heard = Math.max(this.#heard, entry.revision);
    this.#onHeard.resolve();
    this.#onHeard = Promise.withResolvers();
  }

  #apply(key: string, value: Value | undefined, revision: number): void {
    const known = this.#known.get(key);
    if (known !== undefined && known.revision >= revision && revision !== Infinity) return;
    if (value === undefined) this.#known.delete(key);
    else this.#known.set(key, { revision, summary: this.#summarize(value) });
    for (const listener of this.#listeners) listener(key, value);
  }
}
