/**
 * A whole cluster on one machine: three NATS nodes, two servers and two workers, until Ctrl-C.
 *
 * ```sh
 * deno task example:cluster
 * ```
 *
 * @module
 */
import { join } from "node:path";

const DIR = "cluster-example";
const NATS_PORTS = [4222, 4223, 4224];
const ROUTE_PORTS = [6222, 6223, 6224];
const SERVER_PORTS = [8000, 8001];
const WORKERS = ["worker-1", "worker-2"];

const nats = NATS_PORTS.map((port) => `nats://127.0.0.1:${port}`).join(",");
const routes = ROUTE_PORTS.map((port) => `nats-route://127.0.0.1:${port}`).join(",");

const processes = new Set<Deno.ChildProcess>();
let isStopping = false;

async function start(program: string, ...args: string[]): Promise<void> {
  const process = new Deno.Command(program, { args, stdin: "null" }).spawn();
  processes.add(process);
  await process.status;
  processes.delete(process);
}

async function graft(...args: string[]): Promise<void> {
  await start("deno", "task", "--quiet", ...args, "--cluster", nats);
}

/** Starts a worker, and again where it has ended by itself, as systemd does with Restart=always. */
async function keepWorker(name: string): Promise<void> {
  while (!isStopping) await graft("worker", "--name", name, "--runs", join(DIR, name));
}

const running: Promise<void>[] = [];

await Deno.mkdir(DIR, { recursive: true });
for (const [i, port] of NATS_PORTS.entries()) {
  const config = join(DIR, `nats-${i + 1}.log`);
  running.push(start(
    "nats-server",
    ...["--name", `nats-${i + 1}`, "--addr", "127.0.0.1", "--port", String(port)],
    ...["--jetstream", "--store_dir", join(DIR, `nats-${i + 1}`), "--log", config],
    ...["--cluster_name", "graft", "--cluster", `nats://127.0.0.1:${ROUTE_PORTS[i]}`],
    ...["--routes", routes],
  ));
}
// Servers that each use all cores would wait for one another.
const threads = Math.max(1, Math.floor(navigator.hardwareConcurrency / SERVER_PORTS.length));
for (const [i, port] of SERVER_PORTS.entries()) {
  const dir = join(DIR, `server-${i + 1}`);
  const own = ["--port", String(port), "--runs", dir, "--threads", String(threads)];
  running.push(graft("serve", ...own));
}
for (const name of WORKERS) running.push(keepWorker(name));

console.log(`Two servers on ports ${SERVER_PORTS.join(" and ")}; Ctrl-C ends all`);
console.log(`deno task cluster status --cluster ${nats}`);
const stop = () => {
  isStopping = true;
  for (const process of processes) {
    try {
      process.kill("SIGTERM");
    } catch {
      // It has ended.
    }
  }
};
Deno.addSignalListener("SIGINT", stop);
Deno.addSignalListener("SIGTERM", stop);
await Promise.all(running);
