/**
 * The connection to the NATS servers of a cluster, which keep everything that its members share. It
 * is loaded only where a cluster is asked for.
 *
 * @module
 */
import {
  AckPolicy,
  type Consumer,
  type ConsumerConfig,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamClient,
  JetStreamError,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "@nats-io/jetstream";
import { type KV, Kvm } from "@nats-io/kv";
import {
  connect,
  type ConnectionOptions,
  credsAuthenticator,
  errors,
  nanos,
  type NatsConnection,
} from "@nats-io/transport-node";
import { isSystemError } from "../../lib/files.ts";
import { messageOf } from "../../lib/format.ts";
import { UserError } from "../../lib/user_error.ts";
import { StoreUnavailableError } from "../store.ts";

/** Options of {@link Cluster.connect}. */
export interface ClusterOptions {
  /** The addresses of NATS servers, separated by commas. */
  servers: string;
  /** The prefix of every name in NATS; `graft` by default. */
  name?: string | undefined;
  /** The file of a NATS user's credentials. */
  credentialsFile?: string | undefined;
  /** The CA certificate that the servers' certificates are checked against; makes TLS mandatory. */
  tlsCaFile?: string | undefined;
  /** How long an operation is retried before the cluster counts as unreachable. */
  patienceMs?: number | undefined;
  /** The time without news from a worker after which its task is given to another. */
  leaseMs?: number | undefined;
}

const REQUEST_TIMEOUT_MS = 3000;
const PAUSE_MS = 200;
/** How long to wait for nodes that start at the same moment. */
const START_MS = 30_000;
/** The time after which the user hears that the connection takes long. */
const SAY_MS = 3000;
const DEFAULT_PATIENCE_MS = 4000;
const DEFAULT_LEASE_MS = 30_000;
/** JetStream's codes for a compare-and-set that came too late. */
const WRONG_LAST_SEQUENCE = [10071, 10164];
/** The system's error codes for hosts that are not there yet. */
const NETWORK_CODES = /^E(CONN|HOST|NET|AI_AGAIN|NOTFOUND|PIPE|TIMEDOUT)/;
/** JetStream's codes for a message that is not there. */
const NO_MESSAGE = [10037, 10043, 10057];
/** The name of a publisher's error where a stream has no leader; the library does not export it. */
const NO_LEADER = "JetStreamNotEnabled";
/** The number of nodes that keep each value in a cluster of NATS servers. */
const REPLICAS = 3;

/** A connection, which is reopened whenever it breaks. */
export class Cluster implements AsyncDisposable {
  /** The prefix of every name in NATS. */
  readonly name: string;
  /** The streams. */
  readonly manager: JetStreamManager;
  /** Publishes to streams. */
  readonly jetstream: JetStreamClient;
  /** The time without news from a worker after which its task is given to another. */
  readonly leaseMs: number;
  readonly #connection: NatsConnection;
  #patienceMs: number;
  readonly #replicas: number;
  readonly #reconnectListeners: (() => void)[] = [];
  #isConnected = true;

  private constructor(
    connection: NatsConnection,
    manager: JetStreamManager,
    { name = "graft", patienceMs = DEFAULT_PATIENCE_MS, leaseMs = DEFAULT_LEASE_MS }:
      ClusterOptions,
  ) {
    this.#connection = connection;
    this.manager = manager;
    this.jetstream = manager.jetstream();
    this.name = name;
    this.leaseMs = leaseMs;
    this.#patienceMs = patienceMs;
    this.#replicas = connection.info?.cluster === undefined ? 1 : REPLICAS;
    void this.#followConnection();
  }

  /**
   * Connects to the first server that answers; waits for servers that are starting.
   *
   * @throws {UserError} If no server answers, or they refuse.
   */
  static async connect(options: ClusterOptions): Promise<Cluster> {
    const { servers } = options;
    const identity = await identityOf(options);
    const startedAt = performance.now();
    let isSaid = false;
    while (true) {
      let connection: NatsConnection | undefined;
      try {
        connection = await connect({
          servers: servers.split(",").map((server) => server.trim()),
          ...identity,
          maxReconnectAttempts: -1,
          reconnectTimeWait: 250,
          timeout: REQUEST_TIMEOUT_MS,
          pingInterval: 5000,
          maxPingOut: 2,
        });
        const manager = await jetstreamManager(connection, { timeout: REQUEST_TIMEOUT_MS });
        return new Cluster(connection, manager, options);
      } catch (error) {
        await connection?.close();
        const reason = messageOf(error);
        const waitedMs = performance.now() - startedAt;
        if (!mayBeStarting(error) || waitedMs > START_MS) {
          throw new UserError(`Cannot reach the cluster at '${servers}': ${reason}`);
        }
        if (waitedMs > SAY_MS && !isSaid) {
          console.error(`Waiting for the cluster at '${servers}': ${reason}`);
          isSaid = true;
        }
        await pause(PAUSE_MS);
      }
    }
  }

  /** Whether there is a connection. */
  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** Calls a function after each reconnection. */
  onReconnect(listener: () => void): void {
    this.#reconnectListeners.push(listener);
  }

  /** The name and version of the server that this process is connected to. */
  get server(): { name: string; version: string } {
    const { server_name = "?", version = "?" } = this.#connection.info ?? {};
    return { name: server_name, version };
  }

  /** Stops retrying for long, as this process is about to end. */
  hurry(): void {
    this.#patienceMs = Math.min(this.#patienceMs, DEFAULT_PATIENCE_MS);
  }

  /** The nodes that keep the queue, and the size of everything stored. */
  async storage(): Promise<{ nodes: string[]; bytes: number; artifact_bytes: number }> {
    const streams = await this.reach(() => this.manager.streams.list().next());
    const own = streams.filter(({ config }) => config.name.includes(`${this.name}_`));
    const queue = own.find(({ config }) => config.name === `${this.name}_queue`)?.cluster;
    const replicas = (queue?.replicas ?? []).map(({ name, current, offline }) =>
      `${name} (${offline ? "offline" : current ? "current" : "behind"})`
    );
    const bytes = (wanted: RegExp) =>
      own.filter(({ config }) => wanted.test(config.name))
        .reduce((sum, { state }) => sum + state.bytes, 0);
    return {
      nodes: queue === undefined || queue === null
        ? ["one node"]
        // While the nodes elect one there is no leader.
        : [...queue.leader === undefined ? [] : [`${queue.leader} (leader)`], ...replicas],
      bytes: bytes(/./),
      artifact_bytes: bytes(/_artifacts$/),
    };
  }

  /**
   * Runs an operation over the connection, and retries it for a while if the cluster does not
   * answer.
   *
   * @param operation May run twice, for example where an answer was lost.
   * @throws {StoreUnavailableError} If the cluster cannot be reached.
   */
  async reach<Result>(operation: () => Promise<Result>): Promise<Result> {
    const startedAt = performance.now();
    while (true) {
      try {
        if (!this.#isConnected) throw new errors.ClosedConnectionError();
        return await operation();
      } catch (error) {
        if (!isUnavailable(error)) throw error;
        const isLate = performance.now() > startedAt + this.#patienceMs;
        if (isLate || this.#connection.isClosed()) {
          throw new StoreUnavailableError("The cluster's NATS servers do not answer", {
            cause: error,
          });
        }
      }
      await pause(PAUSE_MS);
    }
  }

  /** A bucket of values, which is made if it does not exist. */
  async bucket(name: string, { ttlMs = 0 }: { ttlMs?: number } = {}): Promise<KV> {
    const options = {
      replicas: this.#replicas,
      history: 1,
      ttl: ttlMs,
      storage: StorageType.File,
      // Otherwise a replica that lags behind would answer.
      allow_direct: false,
      timeout: REQUEST_TIMEOUT_MS,
    };
    return await this.#made(() => new Kvm(this.jetstream).create(`${this.name}_${name}`, options));
  }

  /**
   * Deletes a message from a stream, if it is there.
   *
   * No stream is purged by subject: nats-server 2.9 can lose other messages if a node is killed
   * soon after.
   */
  async deleteMessage(stream: string, sequence: number): Promise<void> {
    await this.reach(async () => {
      try {
        await this.manager.streams.deleteMessage(stream, sequence, false);
      } catch (error) {
        const isGone = error instanceof JetStreamApiError && NO_MESSAGE.includes(error.code);
        if (!isGone) throw error;
      }
    });
  }

  /** The stream of the runs' events, which is made if it does not exist. */
  async events(): Promise<string> {
    return await this.#stream({ name: `${this.name}_events`, subjects: [`${this.name}.events.*`] });
  }

  /** The queue, which is made if it does not exist; it holds a task once. */
  async queue(): Promise<string> {
    return await this.#stream({
      name: `${this.name}_queue`,
      subjects: [`${this.name}.queue.>`],
      retention: RetentionPolicy.Workqueue,
      discard: DiscardPolicy.New,
      max_msgs_per_subject: 1,
      discard_new_per_subject: true,
    });
  }

  /** A durable consumer of the queue, which is made if it does not exist. */
  async consumer(stream: string, durable: string, filter: string): Promise<Consumer> {
    const config: Partial<ConsumerConfig> = {
      durable_name: durable,
      filter_subject: filter,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(this.leaseMs),
      max_ack_pending: 100_000,
    };
    return await this.#made(async () => {
      await this.manager.consumers.add(stream, config);
      return await this.jetstream.consumers.get(stream, durable);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection.close();
  }

  async #stream(config: Partial<StreamConfig> & { name: string }): Promise<string> {
    await this.#made(async () => {
      try {
        await this.manager.streams.info(config.name);
      } catch (error) {
        if (!(error instanceof JetStreamApiError) || error.status !== 404) throw error;
        const whole = { ...config, num_replicas: this.#replicas, storage: StorageType.File };
        await this.manager.streams.add(whole);
      }
    });
    return config.name;
  }

  /** Makes something that may need nodes that are still starting. */
  async #made<Result>(make: () => Promise<Result>): Promise<Result> {
    const deadline = performance.now() + START_MS;
    while (true) {
      try {
        return await make();
      } catch (error) {
        if (!mayBeStarting(error) || performance.now() > deadline) throw error;
      }
      await pause(PAUSE_MS);
    }
  }

  async #followConnection(): Promise<void> {
    for await (const { type } of this.#connection.status()) {
      if (type === "disconnect" || type === "staleConnection") this.#isConnected = false;
      if (type !== "reconnect") continue;
      this.#isConnected = true;
      for (const listener of this.#reconnectListeners) listener();
    }
  }
}

/** Whether a compare-and-set came too late. */
export function isConflict(error: unknown): boolean {
  return error instanceof JetStreamApiError && WRONG_LAST_SEQUENCE.includes(error.code);
}

/** Whether JetStream, or the connection to it, did not answer. */
function isUnavailable(error: unknown): boolean {
  if (error instanceof JetStreamApiError) return error.status === 503 || error.status === 500;
  return error instanceof errors.TimeoutError || error instanceof errors.NoRespondersError ||
    error instanceof errors.RequestError || error instanceof errors.ClosedConnectionError ||
    error instanceof errors.ConnectionError || error instanceof errors.DrainingConnectionError ||
    error instanceof JetStreamError || error instanceof Error && error.name === NO_LEADER;
}

/** Whether servers that have just been started may give this error. */
function mayBeStarting(error: unknown): boolean {
  const code = isSystemError(error) && "code" in error ? String(error.code) : "";
  return isUnavailable(error) || error instanceof JetStreamApiError || NETWORK_CODES.test(code);
}

/** The credentials of this process, and the authority that the servers' certificates come from. */
async function identityOf(
  { credentialsFile, tlsCaFile }: ClusterOptions,
): Promise<Pick<ConnectionOptions, "authenticator" | "tls">> {
  const read = async (file: string) => {
    try {
      return await Deno.readFile(file);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      throw new UserError(`Cannot read '${file}': ${error.message}`);
    }
  };
  return {
    ...credentialsFile !== undefined &&
      { authenticator: credsAuthenticator(await read(credentialsFile)) },
    ...tlsCaFile !== undefined &&
      { tls: { ca: new TextDecoder().decode(await read(tlsCaFile)) } },
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
