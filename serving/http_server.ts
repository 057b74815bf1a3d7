/**
 * The server's side of HTTP: as many connections as there are file descriptors for, and none that
 * only takes up room.
 *
 * Deno's own server ends when it cannot accept a connection, and holds those that say nothing for
 * ever (Deno 2.9). It listens on a port that this process alone uses, and here each connection is
 * accepted, counted and joined to one of its.
 *
 * @module
 */
import { UserError } from "../lib/user_error.ts";

/** Descriptors that connections leave for files, the state and subprocesses. */
const RESERVED_DESCRIPTORS = 128;
/** A connection from a client, and both ends of one to Deno's server. */
const DESCRIPTORS_PER_CONNECTION = 3;
const BUFFER_BYTES = 65_536;
/** The time until a system that had no room for a connection is asked again. */
const ACCEPT_PAUSE_MS = 100;
/** The time that every connection has to send something, whoever else waits. */
const GRACE_MS = 100;

/** A request's connection, as its handler sees it. */
export interface RequestEnv {
  /**
   * The body is there, so that it is no longer the client that is waited for. A request without a
   * body has said so already.
   */
  bodyReceived(): void;
}

/** Answers a request. */
export type RequestHandler = (request: Request, env: RequestEnv) => Response | Promise<Response>;

/** Settings of {@link HttpServer}. */
export interface HttpServerOptions {
  hostname: string;
  /** 0 takes a free one. */
  port: number;
  /** For another connection the one leaves that has waited longest for its client. */
  maxConnections: number;
  /** A connection is closed when its client has sent no byte for this time. */
  idleTimeoutMs?: number;
}

/** Serves HTTP. */
export class HttpServer {
  /** Where it listens. */
  readonly address: Deno.NetAddr;
  readonly #handler: RequestHandler;
  readonly #maxConnections: number;
  readonly #listener: Deno.Listener;
  readonly #connections = new Set<Connection>();
  /** By the port from which Deno's server hears of it. */
  readonly #byPort = new Map<number, Connection>();
  readonly #finished = Promise.withResolvers<void>();
  /** Settles when a connection is closed, or its client is waited for. */
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
   * Starts to listen.
   *
   * @throws {UserError} If the port is in use.
   */
  static listen(options: HttpServerOptions, handler: RequestHandler): HttpServer {
    try {
      return new HttpServer(options, handler);
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
      throw new UserError(
        `Cannot listen on ${options.hostname} port ${options.port}: it is in use`,
      );
    }
  }

  /** Settles when it has ended. */
  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  /**
   * Takes no more connections, closes those that wait for their clients, and ends when the others
   * have their answers.
   */
  async shutdown(): Promise<void> {
    this.#close();
    await this.#server.shutdown();
    // Their last answers may be on the way to the clients.
    while (this.#connections.size > 0) await this.#change.promise;
    this.abort();
  }

  /** Ends at once, whatever is still to be answered. */
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
        // There are no descriptors for it, or the client has gone already.
        console.error(`Cannot accept a connection: ${message(error)}`);
        await new Promise((resolve) => setTimeout(resolve, ACCEPT_PAUSE_MS));
      }
    }
  }

  /** Waits until there is room for another connection, and makes it where that is possible. */
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
      port = await connection.join(this.#server.addr);
      this.#byPort.set(port, connection);
      await connection.relay();
    } catch (error) {
      if (!this.#closing) console.error(`Cannot serve a connection: ${message(error)}`);
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
      // It did not come through the door.
      if (connection === undefined) return new Response(null, { status: 421 });
      const answered = connection.begin(request.body === null);
      completed.catch(() => {}).finally(answered);
      return await this.#handler(request, { bodyReceived: () => connection.bodyReceived() });
    });
    server.finished.catch((error) => this.#restart(error));
    return server;
  }

  /** Takes another of Deno's servers, as one that could not accept a connection takes no more. */
  async #restart(error: unknown): Promise<void> {
    console.error(`The HTTP server starts again: ${message(error)}`);
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

/** A client's connection, and that to Deno's server. */
class Connection {
  /** When the client sent something last; by `performance.now()`. */
  receivedAt = performance.now();
  readonly #client: Deno.Conn;
  #server: Deno.Conn | undefined;
  readonly #onWait: () => void;
  /** Requests whose answers are to be given or sent. */
  #requests = 0;
  /** Whether the body of the last request is on its way. */
  #receiving = false;
  #isClosed = false;

  /** @param onWait Called when its client is waited for. */
  constructor(client: Deno.Conn, onWait: () => void) {
    this.#client = client;
    this.#onWait = onWait;
  }

  /** Whether all that was asked has been answered, and there is nothing to do but wait for more. */
  get waitsForClient(): boolean {
    return this.#requests === 0 || this.#receiving;
  }

  /**
   * Counts a request.
   *
   * @param isWhole Whether no body is to come.
   * @returns To be called when its answer has been sent.
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

  /** The request is whole. */
  bodyReceived(): void {
    this.#receiving = false;
  }

  /** Connects to Deno's server; gives the port from which that hears of it. */
  async join({ hostname, port }: Deno.NetAddr): Promise<number> {
    const server = await Deno.connect({ hostname, port });
    if (this.#isClosed) server.close();
    this.#server = server;
    return server.localAddr.port;
  }

  /** Carries bytes both ways until Deno's server ends the connection, or the client is gone. */
  async relay(): Promise<void> {
    const received = () => this.receivedAt = performance.now();
    const requests = copy(this.#client, this.#server!, received).catch(() => this.close());
    await copy(this.#server!, this.#client).catch(() => {});
    // After its last answer nothing is heard any more.
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

async function copy(from: Deno.Conn, to: Deno.Conn, onBytes = () => {}): Promise<void> {
  const buffer = new Uint8Array(BUFFER_BYTES);
  for (let size; (size = await from.read(buffer)) !== null;) {
    onBytes();
    for (let written = 0; written < size;) {
      written += await to.write(buffer.subarray(written, size));
    }
  }
  await to.closeWrite();
}

/**
 * How many connections there are file descriptors for, beside those that everything else needs.
 *
 * @param path A file that can be read, which is opened as often as it can be.
 * @param most No more are looked for.
 * @throws {UserError} If there are descriptors for none.
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

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
