/**
 * The workers of a cluster, as they describe themselves.
 *
 * @module
 */
import type { KV } from "@nats-io/kv";
import type { Cluster } from "./connection.ts";

/** A worker. */
export interface WorkerInfo {
  name: string;
  /** The devices that runs may ask for. */
  devices: string[];
  /** The labels that runs may ask for. */
  labels: string[];
  cores: number;
  memory_bytes: number;
  /** The most tasks that it runs at once. */
  tasks: number;
  started_at: string;
}

/** The time without news from a worker after which it is no longer listed. */
const TTL_MS = 20_000;

/** The list of a cluster's workers. */
export class Workers {
  readonly #cluster: Cluster;
  readonly #bucket: KV;

  private constructor(cluster: Cluster, bucket: KV) {
    this.#cluster = cluster;
    this.#bucket = bucket;
  }

  /** Opens the list. */
  static async open(cluster: Cluster): Promise<Workers> {
    return new Workers(cluster, await cluster.bucket("workers", { ttlMs: TTL_MS }));
  }

  /** Lists a worker until the result is disposed of. */
  register(info: WorkerInfo): AsyncDisposable {
    const tell = () =>
      this.#cluster.reach(() => this.#bucket.put(info.name, JSON.stringify(info))).catch(() => {});
    void tell();
    const timer = setInterval(tell, TTL_MS / 4);
    return {
      [Symbol.asyncDispose]: async () => {
        clearInterval(timer);
        await this.#cluster.reach(() => this.#bucket.delete(info.name)).catch(() => {});
      },
    };
  }

  /** The workers that have sent news lately. */
  async list(): Promise<WorkerInfo[]> {
    const keys = await this.#cluster.reach(async () =>
      await Array.fromAsync(await this.#bucket.keys())
    );
    const entries = await Promise.all(
      keys.map((key) => this.#cluster.reach(() => this.#bucket.get(key))),
    );
    return entries.flatMap((entry) => entry?.operation === "PUT" ? [entry.json<WorkerInfo>()] : []);
  }
}
