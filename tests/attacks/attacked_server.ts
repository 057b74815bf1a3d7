/**
 * Runs `serve` as a process that can be attacked, with the means to do so.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { address } from "../support/server_process.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const PERMISSIONS =
  "--allow-read --allow-write --allow-net --allow-run=deno --allow-sys=setPriority --allow-env";

/** Options of {@link AttackedServer.start}. */
export interface AttackedServerOptions {
  /** Options of the command. */
  options?: readonly string[];
  /** A command that the shell runs first, such as `ulimit -n 256`. */
  before?: string;
}

/** A server in a process and folder of its own, both of which are removed afterwards. */
export class AttackedServer implements AsyncDisposable {
  readonly url: string;
  readonly runsDir: string;
  readonly process: Deno.ChildProcess;

  private constructor(url: string, runsDir: string, process: Deno.ChildProcess) {
    this.url = url;
    this.runsDir = runsDir;
    this.process = process;
  }

  /**
   * Starts a server and waits until it can predict.
   *
   * @param prepare Fills the folder of the server's runs.
   */
  static async start(
    { options = [], before = ":" }: AttackedServerOptions = {},
    prepare: (runsDir: string) => Promise<void> = async () => {},
  ): Promise<AttackedServer> {
    const runsDir = await Deno.makeTempDir();
    await prepare(runsDir);
    const serve = `serve --port 0 --device wasm --runs ${runsDir} ${options.join(" ")}`;
    const command = `${before}; exec deno run --no-prompt ${PERMISSIONS} ${MAIN} ${serve}`;
    const process = new Deno.Command("sh", {
      args: ["-c", command],
      env: { NO_COLOR: "1" },
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const [printed, log] = process.stderr.tee();
    void log.pipeTo(new WritableStream()).catch(() => {});
    const server = new AttackedServer(await address(printed), runsDir, process);
    while ((await server.status("/health")) !== 200) await pause(20);
    return server;
  }

  /** The status of a GET. */
  async status(path: string): Promise<number> {
    const response = await fetch(this.url + path);
    await response.body?.cancel();
    return response.status;
  }

  /** The answer to a POST of JSON. */
  async post(path: string, body: unknown): Promise<{ status: number; answer: unknown }> {
    const response = await fetch(this.url + path, { method: "POST", body: JSON.stringify(body) });
    return { status: response.status, answer: await response.json() };
  }

  /** Connections that have sent a text and then stay silent. */
  async connect(count: number, text = ""): Promise<Deno.Conn[]> {
    const { hostname, port } = new URL(this.url);
    const connections: Deno.Conn[] = [];
    for (let i = 0; i < count; i++) {
      const connection = await Deno.connect({ hostname, port: Number(port) });
      // The server may have closed the connection to make room.
      await connection.write(new TextEncoder().encode(text)).catch(() => {});
      connections.push(connection);
    }
    return connections;
  }

  /** The resident memory of the process, in MB. */
  async residentMb(): Promise<number> {
    const { stdout } = await new Deno.Command("sh", {
      args: ["-c", `ps -o rss= -p ${this.process.pid}`],
    }).output();
    return Number(new TextDecoder().decode(stdout)) / 1000;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.process.kill("SIGKILL");
    } catch {
      // The process has ended already, which its test reports.
    }
    await this.process.status;
    await Deno.remove(this.runsDir, { recursive: true });
  }
}

/** Waits for a time. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Closes connections, even if some are closed already. */
export function closeAll(connections: readonly Deno.Conn[]): void {
  for (const connection of connections) {
    try {
      connection.close();
    } catch {
      // The connection was closed already.
    }
  }
}
