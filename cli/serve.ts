/**
 * `serve`: predicts, trains and evaluates over HTTP.
 *
 * @module
 */
import { Command, InvalidArgumentError } from "commander";
import { join } from "node:path";
import { UserError } from "../data/user_error.ts";
import type { Device } from "../onnx/device.ts";
import { Executor } from "../onnx/executor.ts";
import { createApp } from "../routes/app.ts";
import { ModelRegistry } from "../serving/model_registry.ts";
import { RUNS_DIR } from "../training/run_folder.ts";
import { RunStore } from "../training/run_store.ts";
import { Supervisor } from "../training/supervisor.ts";
import { deviceOption } from "./device_option.ts";

interface Options {
  port: number;
  host: string;
  runs: string;
  kv?: string;
  device: Device | "auto";
}

/** The command and its options. */
export function serveCommand(): Command {
  return new Command("serve")
    .description("Predict, train and evaluate over HTTP")
    .option("--port <number>", "Port to listen on; 0 takes a free one", parsePort, 8000)
    .option("--host <address>", "Address to listen on", "127.0.0.1")
    .option("--runs <dir>", "Folder of the runs, whose models are served", RUNS_DIR)
    .option("--kv <file>", "File for the state of the runs; default: state.kv in that folder")
    .addOption(deviceOption())
    .action(run);
}

async function run({ port, host, runs: runsDir, kv, device }: Options): Promise<void> {
  await Deno.mkdir(runsDir, { recursive: true });
  // Held until the process ends: the state has one owner.
  using lock = await Deno.open(join(runsDir, "lock"), { write: true, create: true });
  if (!await lock.tryLock(true)) {
    throw new UserError(`Cannot serve '${runsDir}': another server uses it`);
  }
  using store = await RunStore.open(kv ?? join(runsDir, "state.kv"));
  const supervisor = new Supervisor(store);
  await supervisor.recover();
  await using executor = await Executor.start({ device });
  const models = new ModelRegistry(executor, store, runsDir);
  const app = createApp({ store, supervisor, runsDir, models });

  const server = listen(host, port, app.fetch);
  // A signal comes twice under `deno task`: from the terminal, and passed on by the task.
  let stopping: Promise<void> | undefined;
  const stop = () => {
    // Event streams end with their runs, and the server when they have.
    stopping ??= supervisor.close().then(() => server.shutdown());
  };
  Deno.addSignalListener("SIGINT", stop);
  Deno.addSignalListener("SIGTERM", stop);
  await server.finished;
  await stopping;
  Deno.removeSignalListener("SIGINT", stop);
  Deno.removeSignalListener("SIGTERM", stop);
}

function listen(hostname: string, port: number, handler: Deno.ServeHandler): Deno.HttpServer {
  const onListen = ({ hostname, port }: Deno.NetAddr) =>
    console.error(`Listening on http://${hostname}:${port}`);
  try {
    return Deno.serve({ hostname, port, onListen }, handler);
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new UserError(`Cannot listen on ${hostname} port ${port}: it is in use`);
  }
}

function parsePort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new InvalidArgumentError("It must be 0 to 65535.");
}
