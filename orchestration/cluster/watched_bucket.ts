/**
 * A bucket of values that every member of a cluster has in memory: changes arrive as they are made.
 *
 * @module
 */
import type { KV, KvWatchEntry } from "@nats-io/kv";
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

/** Valid keys; NATS takes no others. */
const KEY = /^[-/_=.a-zA-Z0-9]{1,200}$/;

/** Values by key in NATS, with a summary of each in memory. */
export class WatchedBucket<Value, Summary = Value> {
  readonly #cluster: Cluster;
  readonly #bucket: KV;
  readonly #summarize: (value: Value) => Summary;
  readonly #known = new Map<string, { revision: number; summary: Summary | undefined }>();
  readonly #listeners = new Set<(key: string, value: Value | undefined) => void>();
  #stop: () => void = () => {};
  #isClosed = false;

  private constructor(cluster: Cluster, bucket: KV, summarize: (value: Value) => Summary) {
    this.#cluster = cluster;
    this.#bucket = bucket;
    this.#summarize = summarize;
  }

  /**
   * Opens a bucket, and reads all of it.
   *
   * @param summarize Turns a value into the summary that is kept in memory.
   */
  static async open<Value, Summary = Value>(
    cluster: Cluster,
    name: string,
    summarize: (value: Value) => Summary,
  ): Promise<WatchedBucket<Value, Summary>> {
    const bucket = await cluster.bucket(name);
    const opened = new WatchedBucket(cluster, bucket, summarize);
    await opened.#follow();
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

  /** Reads all values and follows their changes, and starts again after each reconnection. */
  async #follow(): Promise<void> {
    this.#cluster.onReconnect(() => {
      if (this.#isClosed) return;
      this.#stop();
      this.#load().catch((error) => console.error(`Cannot hear of changes: ${error.message}`));
    });
    await this.#load();
  }

  async #load(): Promise<void> {
    const { values } = await this.#cluster.reach(() => this.#bucket.status());
    const changes = await this.#cluster.reach(() => this.#bucket.watch());
    this.#stop = () => changes.stop();
    const { promise: loaded, resolve } = Promise.withResolvers<void>();
    if (values === 0) resolve();
    void (async () => {
      for await (const entry of changes) {
        this.#take(entry);
        if (entry.delta === 0) resolve();
      }
    })();
    await loaded;
  }

  #take(entry: KvWatchEntry): void {
    const value = entry.operation === "PUT" ? entry.json<Stored<Value>>().value : undefined;
    this.#apply(entry.key, value, entry.revision);
  }

  #apply(key: string, value: Value | undefined, revision: number): void {
    const known = this.#known.get(key);
    if (known !== undefined && known.revision >= revision && revision !== Infinity) return;
    if (value === undefined) this.#known.delete(key);
    else this.#known.set(key, { revision, summary: this.#summarize(value) });
    for (const listener of this.#listeners) listener(key, value);
  }
}
