/**
 * Accepts connections, limits their number, and closes idle ones for new ones.
 *
 * Deno's own server ends when it cannot accept a connection, and keeps silent connections for ever
 * (Deno 2.9). So it listens on a port that only this process uses; here each client's connection is
 * accepted, counted and joined to one to that port.
 *
 * @module
 */
import { messageOf } from "../lib/format.ts";
import { UserError } from "../lib/user_error.ts";

/** The descriptors that connections leave for files, the state and subprocesses. */
const RESERVED_DESCRIPTORS = 128;
/** The descriptors of a connection: the client's, and both ends of the one to Deno's server. */
const DESCRIPTORS_PER_CONNECTION = 3;
/** The buffer of a connection that has little to say, as most: the idle ones hold theirs too. */
const SMALL_BUFFER_BYTES = 4096;
const LARGE_BUFFER_BYTES = 65_536;
/** The pause before accepting again after the system had no room for a connection. */
const ACCEPT_PAUSE_MS = 100;
/** The time that every connection has to send something, even while others wait. */
const GRACE_MS = 100;

/** A request's connection, as its handler sees it. */
export interface RequestEnv {
  /**
   * Reports that the body has arrived, so that the client is no longer waited for. A request
   * without a body needs no such report.
   */
  bodyReceived(): void;
}

/** Answers a request. */
export type RequestHandler = (request: Request, env: RequestEnv) => Response | Promise<Response>;

/** Settings of {@link HttpServer}. */
export interface HttpServerOptions {
  hostname: string;
  /** The port; 0 takes a free one. */
  port: number;
  /** The most connections; beyond them, the one that waits longest for its client is closed. */
  maxConnections: number;
  /** The time without a byte from its client after which a connection is closed. */
  idleTimeoutMs?: number;
}

/** Serves HTTP. */
export class HttpServer {
  /** The address on which the server listens. */
  readonly address: Deno.NetAddr;
  readonly #handler: RequestHandler;
  readonly #maxConnections: number;
  readonly #listener: Deno.Listener;
  readonly #connections = new Set<Connection>();
  /** Connections by the port that Deno's server sees. */
  readonly #byPort = new Map<number, Connection>();
  readonly #finished = Promise.withResolvers<void>();
  /** Resolves when a connection is closed, or begins to wait for its client. */
  #change = Promise.withResolvers<void>();
  #server: Deno.HttpServer<Deno.NetAddr>;
  #closing = false;
  readonly #idleTimer: ReturnType<typeof setInterval>;

  private constructor(options: HttpServerOptions, handler: RequestHandler) {
    const { hostname, port, maxConnections, idleTimeoutMs = 60_000 } = options;
    this.#handler = handler;
    this.#maxConnections = maxConnections;
    this.#listener = Deno.listen({ hostname, port });
    this.address = this.#listener.addr as Deno.NetAddr;
    this.#server = this.#serve();
    this.#idleTimer = setInterval(() => {
      const before = performance.now() - idleTimeoutMs;
      for (const connection of this.#connections) {
        if (connection.waitsForClient && connection.receivedAt < before) connection.close();
      }
    }, idleTimeoutMs / 10);
    void this.#accept();
  }

  /**
   * Starts listening.
   *
   * @throws {UserError} If the port is in use.
   */
  static listen(options: HttpServerOptions, handler: RequestHandler): HttpServer {
    try {
      return new HttpServer(options, handler);
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
      throw new UserError(
        `Cannot listen on ${options.hostname} port ${options.port}: it is in use; ` +
          "--port takes another, or 0 for a free one",
      );
    }
  }

  /** Resolves when the server has ended. */
  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  /**
   * Accepts no more connections, closes those that wait for their clients, and ends once the others
   * have their answers.
   */
  async shutdown(): Promise<void> {
    this.#close();
    // Deno's server does not know those that have said nothing.
    for (const connection of this.#connections) if (connection.isSilent) connection.close();
    await this.#server.shutdown();
    // The last answers may still be on their way to the clients.
    while (this.#connections.size > 0) await this.#change.promise;
    this.abort();
  }

  /** Ends at once, and drops unfinished answers. */
  abort(): void {
    this.#close();
    clearInterval(this.#idleTimer);
    for (const connection of this.#connections) connection.close();
    void this.#server.shutdown();
    this.#finished.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  #close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#listener.close();
  }

  async #accept(): Promise<void> {
    while (!this.#closing) {
      try {
        const client = await this.#listener.accept();
        await this.#makeRoom();
        void this.#join(client);
      } catch (error) {
        if (this.#closing) return;
        // There are no descriptors for it, or the client has already gone.
        console.error(`Cannot accept a connection: ${messageOf(error)}`);
        await new Promise((resolve) => setTimeout(resolve, ACCEPT_PAUSE_MS));
      }
    }
  }

  /** Waits until there is room for another connection, and closes an idle one if possible. */
  async #makeRoom(): Promise<void> {
    while (this.#connections.size >= this.#maxConnections) {
      const before = performance.now() - GRACE_MS;
      const waiting = [...this.#connections].filter((it) => it.waitsForClient);
      const [idlest] = waiting.sort((a, b) => a.receivedAt - b.receivedAt);
      if (idlest !== undefined && idlest.receivedAt < before) idlest.close();
      const { promise: later, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, GRACE_MS);
      await Promise.race([this.#change.promise, later]);
      clearTimeout(timer);
    }
  }

  /** Joins a client to Deno's server until one of them ends. */
  async #join(client: Deno.Conn): Promise<void> {
    const connection = new Connection(client, () => this.#changed());
    this.#connections.add(connection);
    let port: number | undefined;
    try {
      // A client that says nothing costs no second connection.
      const beginning = await connection.beginning();
      if (beginning === undefined) return;
      port = await connection.join(this.#server.addr);
      this.#byPort.set(port, connection);
      await connection.relay(beginning);
    } catch (error) {
      if (!this.#closing) console.error(`Cannot serve a connection: ${messageOf(error)}`);
    } finally {
      connection.close();
      if (port !== undefined) this.#byPort.delete(port);
      this.#connections.delete(connection);
      this.#changed();
    }
  }

  #changed(): void {
    this.#change.resolve();
    this.#change = Promise.withResolvers();
  }

  #serve(): Deno.HttpServer<Deno.NetAddr> {
    const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
    const server = Deno.serve(options, async (request, { remoteAddr, completed }) => {
      const connection = this.#byPort.get(remoteAddr.port);
      // The connection was not accepted here.
      if (connection === undefined) return new Response(null, { status: 421 });
      const answered = connection.begin(request.body === null);
      completed.catch(() => {}).finally(answered);
      return await this.#handler(request, { bodyReceived: () => connection.bodyReceived() });
    });
    server.finished.catch((error) => this.#restart(error));
    return server;
  }

  /** Starts another of Deno's servers, as one that failed to accept once accepts no more. */
  async #restart(error: unknown): Promise<void> {
    console.error(`The HTTP server starts again: ${messageOf(error)}`);
    for (const it of this.#connections) if (it.waitsForClient) it.close();
    while (!this.#closing) {
      try {
        this.#server = this.#serve();
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, ACCEPT_PAUSE_MS));
      }
    }
  }
}

/** A client's connection, and the one to Deno's server. */
class Connection {
  /** The time at which the client last sent something, by `performance.now()`. */
  receivedAt = performance.now();
  readonly #client: Deno.Conn;
  #server: Deno.Conn | undefined;
  readonly #onWait: () => void;
  /** The number of requests whose answers have not been sent. */
  #requests = 0;
  /** Whether the body of the last request is still arriving. */
  #receiving = false;
  #isClosed = false;

  /** @param onWait Called when the connection begins to wait for its client. */
  constructor(client: Deno.Conn, onWait: () => void) {
    this.#client = client;
    this.#onWait = onWait;
  }

  /** Whether the client has said nothing so far. */
  get isSilent(): boolean {
    return this.#server === undefined;
  }

  /** Whether only the client can act: all requests are answered, or a body is on its way. */
  get waitsForClient(): boolean {
    return this.#requests === 0 || this.#receiving;
  }

  /**
   * Counts a request.
   *
   * @param isWhole Whether the request has no body.
   * @returns A function to call when the answer has been sent.
   */
  begin(isWhole: boolean): () => void {
    this.#requests++;
    this.#receiving = !isWhole;
    return () => {
      this.#requests--;
      this.receivedAt = performance.now();
      if (this.#requests === 0) this.#onWait();
    };
  }

  /** Records that the request has arrived completely. */
  bodyReceived(): void {
    this.#receiving = false;
  }

  /** Waits for the client's first bytes; there are none if the connection ends before. */
  async beginning(): Promise<Uint8Array | undefined> {
    const buffer = new Uint8Array(SMALL_BUFFER_BYTES);
    const size = await this.#client.read(buffer).catch(() => null);
    if (size === null) return undefined;
    this.receivedAt = performance.now();
    return buffer.subarray(0, size);
  }

  /** Connects to Deno's server, and returns the port that the server sees. */
  async join({ hostname, port }: Deno.NetAddr): Promise<number> {
    const server = await Deno.connect({ hostname, port });
    if (this.#isClosed) server.close();
    this.#server = server;
    return server.localAddr.port;
  }

  /**
   * Carries bytes both ways until Deno's server ends the connection, or the client is gone.
   *
   * @param beginning The client's first bytes.
   */
  async relay(beginning: Uint8Array): Promise<void> {
    const received = () => this.receivedAt = performance.now();
    const send = async () => {
      await writeAll(this.#server!, beginning);
      await copy(this.#client, this.#server!, received);
    };
    const requests = send().catch(() => this.close());
    await copy(this.#server!, this.#client).catch(() => {});
    // After the last answer, nothing more is read from the client.
    this.close();
    await requests;
  }

  /** Closes both ends. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#client.close();
    this.#server?.close();
  }
}

async function writeAll(to: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += await to.write(bytes.subarray(written));
  }
}

async function copy(from: Deno.Conn, to: Deno.Conn, onBytes = () => {}): Promise<void> {
  let buffer = new Uint8Array(SMALL_BUFFER_BYTES);
  for (let size; (size = await from.read(buffer)) !== null;) {
    onBytes();
    await writeAll(to, buffer.subarray(0, size));
    const isSmall = buffer.length < LARGE_BUFFER_BYTES;
    if (isSmall && size === buffer.length) buffer = new Uint8Array(LARGE_BUFFER_BYTES);
  }
  await to.closeWrite();
}

/**
 * The number of connections that there are file descriptors for, beside those needed for everything
 * else.
 *
 * @param path A readable file or folder, which is opened as often as possible.
 * @param most The most connections to look for.
 * @throws {UserError} If there are descriptors for no connection.
 */
export function connectionsPossible(path: string, most: number): number {
  const wanted = most * DESCRIPTORS_PER_CONNECTION + RESERVED_DESCRIPTORS;
  const files: Deno.FsFile[] = [];
  try {
    while (files.length < wanted) files.push(Deno.openSync(path));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EMFILE")) throw error;
  } finally {
    for (const file of files) file.close();
  }
  const possible = Math.floor((files.length - RESERVED_DESCRIPTORS) / DESCRIPTORS_PER_CONNECTION);
  if (possible >= 1) return possible;
  throw new UserError(
    `Cannot serve: this process may open ${files.length} more files at once, and needs ` +
      `${RESERVED_DESCRIPTORS + DESCRIPTORS_PER_CONNECTION}; raise the limit (ulimit -n)`,
  );
}
