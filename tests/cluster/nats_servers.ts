/**
 * Real NATS servers for tests: nodes of one cluster on this machine, each of which can be killed and
 * started again.
 *
 * @module
 */
import { join } from "node:path";

const PROGRAM = "nats-server";

/**
 * Options of tests of clusters, which are skipped if there is no `nats-server`, unless
 * `GRAFT_NATS=required` demands one.
 */
export const clusterTest = {
  ignore: !hasNatsServer(),
  // Connections are closed once the servers are gone.
  sanitizeOps: false,
  sanitizeResources: false,
  // A worker or a node that never comes would otherwise be waited for without end.
  timeout: 10 * 60_000,
};

function hasNatsServer(): boolean {
  try {
    return new Deno.Command(PROGRAM, { args: ["--version"], stdout: "null" }).outputSync().success;
  } catch {
    if (Deno.env.get("GRAFT_NATS") === "required") throw new Error("there is no nats-server");
    console.log("The tests of clusters are skipped: there is no nats-server");
    return false;
  }
}

/** NATS nodes with JetStream. */
export class NatsServers implements AsyncDisposable {
  /** The addresses, as `--cluster` takes them. */
  readonly servers: string;
  readonly #dir: string;
  readonly #ports: number[];
  readonly #clusterPorts: number[];
  readonly #nodes: (Deno.ChildProcess | undefined)[];
  readonly #config: readonly string[];

  private constructor(dir: string, count: number, configFile: string | undefined) {
    this.#dir = dir;
    this.#config = configFile === undefined ? [] : ["--config", configFile];
    const ports = freePorts(2 * count);
    this.#ports = ports.slice(0, count);
    this.#clusterPorts = ports.slice(count);
    this.#nodes = new Array(count).fill(undefined);
    this.servers = this.#ports.map((port) => `nats://127.0.0.1:${port}`).join(",");
  }

  /** Starts nodes, with a further configuration file if there is one. */
  static async start(count = 3, configFile?: string): Promise<NatsServers> {
    const nats = new NatsServers(await Deno.makeTempDir(), count, configFile);
    for (let node = 0; node < count; node++) nats.startNode(node);
    return nats;
  }

  /** Starts a node that is not running. */
  startNode(node: number): void {
    const routes = this.#clusterPorts.map((port) => `nats-route://127.0.0.1:${port}`).join(",");
    const clustered = this.#nodes.length === 1 ? [] : [
      ...["--cluster_name", "graft", "--routes", routes],
      ...["--cluster", `nats://127.0.0.1:${this.#clusterPorts[node]}`],
    ];
    const dir = join(this.#dir, `node-${node}`);
    this.#nodes[node] = new Deno.Command(PROGRAM, {
      args: [
        ...["--addr", "127.0.0.1", "--port", String(this.#ports[node])],
        ...["--name", `node-${node}`, "--jetstream", "--store_dir", dir, ...clustered],
        ...this.#config,
      ],
      stdout: "null",
      stderr: "null",
    }).spawn();
  }

  /** Kills a node. */
  async killNode(node: number): Promise<void> {
    const process = this.#nodes[node];
    this.#nodes[node] = undefined;
    process?.kill("SIGKILL");
    await process?.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.#nodes.keys()) await this.killNode(node);
    await Deno.remove(this.#dir, { recursive: true });
  }
}

/**
 * Ports below those that systems give to outgoing connections: one of these could take the port of
 * a node that is killed before it is started again.
 */
function freePorts(count: number): number[] {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      ports.add(port);
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  return [...ports];
}
