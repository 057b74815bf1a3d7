/**
 * Starts `serve` with only the permissions that its flags require: its folders, the hub's cache if
 * a base may come from there, and its address. The task `serve` runs this file.
 *
 * @module
 */
import { join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { packagesDir, pathPermission, SYSTEM_VARIABLES } from "../lib/permissions.ts";
import { cacheDirOf, HUB_HOSTS, HUB_VARIABLES } from "../models/hub_cache.ts";

/** The interval at which the shell of npx is looked for. */
const WATCH_MS = 1000;

const VARIABLES = ["GRAFT_API_KEY", ...HUB_VARIABLES, ...SYSTEM_VARIABLES];

/** The values of an option, as commander would find them. */
function valuesOf(args: readonly string[], option: string): string[] {
  return args.flatMap((arg, i) => {
    if (arg.startsWith(`${option}=`)) return [arg.slice(option.length + 1)];
    return arg === option && args[i + 1] !== undefined ? [args[i + 1]!] : [];
  });
}

/** The permissions of `serve` with these arguments, as flags of `deno run`. */
export function servePermissions(
  args: readonly string[],
  environment: { get(name: string): string | undefined },
): string[] {
  const last = (option: string, otherwise: string) => valuesOf(args, option).at(-1) ?? otherwise;
  const runs = resolve(last("--runs", "runs"));
  const kv = last("--kv", join(runs, "state.kv"));
  const isUrl = /^https?:/.test(kv);
  const state = isUrl ? [] : [kv, `${kv}.lock`].map((path) => resolve(path));
  const bases = valuesOf(args, "--allow-base");
  const isCluster = valuesOf(args, "--cluster").length > 0;
  const isThere = (path: string) => {
    try {
      return Deno.statSync(path).isDirectory;
    } catch {
      return false;
    }
  };
  const usesHub = bases.some((base) => !isThere(base));
  const hub = usesHub ? [resolve(cacheDirOf(environment))] : [];
  const folders = ["--models", "--artifacts"].flatMap((option) => valuesOf(args, option))
    .map((path) => resolve(path));
  const read = [
    fileURLToPath(new URL("../", import.meta.url)),
    packagesDir(),
    runs,
    ...folders,
    ...state,
    ...hub,
    ...bases.filter(isThere).map((path) => resolve(path)),
    ...valuesOf(args, "--api-key-file").map((path) => resolve(path)),
    ...["--nats-creds", "--nats-ca"].flatMap((option) => valuesOf(args, option)).map((path) =>
      resolve(path)
    ),
  ];
  const host = last("--host", "127.0.0.1");
  const port = last("--port", "8000");
  const address = host.includes(":") ? `[${host}]` : host;
  const net = [
    port === "0" ? address : `${address}:${port}`,
    // Connections are handed over to Deno's own server.
    "127.0.0.1",
    ...isUrl ? [new URL(kv).host] : [],
    ...usesHub ? [...HUB_HOSTS, URL.parse(environment.get("HF_ENDPOINT") ?? "")?.host ?? ""] : [],
  ].filter((host) => host !== "");
  return [
    pathPermission("read", read),
    // Models of 8 bits and digests are kept where the models are.
    pathPermission("write", [runs, ...folders, ...state, ...hub]),
    // The servers of a cluster tell each other their addresses.
    ...isCluster
      ? ["--allow-net", "--allow-sys=systemMemoryInfo"]
      : [`--allow-net=${[...new Set(net)]}`],
    "--allow-run=deno",
    `--allow-env=${VARIABLES}`,
  ];
}

/** Resolves when the shell that has started `deno task`, the parent of this process, has ended. */
async function shellEnded(): Promise<void> {
  const args = ["-o", "ppid=", "-p", String(Deno.ppid)];
  const { stdout } = await new Deno.Command("ps", { args, stderr: "null" }).output();
  const shell = Number(new TextDecoder().decode(stdout));
  while (isAlive(shell)) await new Promise((resolve) => setTimeout(resolve, WATCH_MS));
}

function isAlive(pid: number): boolean {
  try {
    // No signal is sent.
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

if (import.meta.main) {
  const main = fileURLToPath(new URL("../main.ts", import.meta.url));
  const permissions = servePermissions(Deno.args, Deno.env);
  const server = new Deno.Command("deno", {
    args: ["run", "--no-prompt", ...permissions, main, "serve", ...Deno.args],
  }).spawn();
  const stop = (signal: "SIGINT" | "SIGTERM") => {
    try {
      server.kill(signal);
    } catch {
      // The process has ended already.
    }
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => stop(signal));
  }
  // npx passes a signal to its shell alone, which ends and leaves `deno task` and this process.
  if (Deno.env.get("npm_lifecycle_event") === "npx") {
    // Without `ps`, the server has to be stopped itself.
    shellEnded().then(() => stop("SIGTERM")).catch(() => {});
  }
  const { code } = await server.status;
  Deno.exit(code);
}
