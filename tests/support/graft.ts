/**
 * A command of Graft's as a person runs it: in a process and a folder of its own.
 *
 * @module
 */
import { fileURLToPath } from "node:url";

/** The program. */
export const MAIN: string = fileURLToPath(new URL("../../main.ts", import.meta.url));

/** The words that start a command as its task in deno.json does, from any folder. */
export const TASK: readonly string[] = [
  ..."run --no-prompt --allow-read --allow-write --allow-run --allow-env".split(" "),
  fileURLToPath(new URL("../../cli/least_privilege.ts", import.meta.url)),
];

/**
 * The environment of processes that end after seconds: they are spared the second compiler of
 * WebAssembly, which takes two seconds of a processor and changes no result.
 */
export const QUICK_START = { DENO_V8_FLAGS: "--liftoff-only" };

/** How steps of a test are declared that wait more than they work, so that they run side by side. */
export const SIDE_BY_SIDE = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false };

/** Settings of {@link graft}. */
export interface GraftOptions {
  /** Standard input. */
  input?: string | Uint8Array;
  env?: Record<string, string>;
  /**
   * Permissions beside reading and writing all files, in place of those that the command's task
   * derives from its arguments.
   */
  permissions?: string[];
}

/** Runs a command in a folder and gives its exit code and its output. */
export async function graft(
  cwd: string,
  args: readonly string[],
  options: GraftOptions = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { input = "", env = {}, permissions } = options;
  const start = permissions === undefined
    ? TASK
    : ["run", "--no-prompt", "--allow-read", "--allow-write", ...permissions, MAIN];
  const child = new Deno.Command("deno", {
    args: [...start, ...args],
    cwd,
    // Without the second, Mesa's driver complains on standard error.
    env: { NO_COLOR: "1", XDG_RUNTIME_DIR: cwd, ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(typeof input === "string" ? new TextEncoder().encode(input) : input);
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: decode(stdout), stderr: decode(stderr) };
}

/** Runs a test in a folder that is gone afterwards. */
export async function inEmptyFolder(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}
