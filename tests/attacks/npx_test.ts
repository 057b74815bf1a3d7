/**
 * A signal that npx gets and does not pass on.
 *
 * @module
 */
import { strictEqual } from "node:assert";
import { fileURLToPath } from "node:url";
import { address } from "../support/server_process.ts";

Deno.test("serve ends when the shell by which npx has started it ends", async () => {
  const runsDir = await Deno.makeTempDir();
  const serve = `deno task --quiet serve --port 0 --device wasm --runs ${runsDir}`;
  const shell = new Deno.Command("sh", {
    // Another command, lest the shell become the first.
    args: ["-c", `${serve}; exit`],
    cwd: fileURLToPath(new URL("../../", import.meta.url)),
    env: { NO_COLOR: "1", npm_lifecycle_event: "npx" },
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const [printed, log] = shell.stderr.tee();
  // It ends with the last process that writes to it.
  const ended = log.pipeTo(new WritableStream()).then(() => "ended");
  await address(printed);
  shell.kill("SIGTERM");
  await shell.status;
  const { promise: late, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(resolve, 30_000, "goes on");
  const outcome = await Promise.race([ended, late]);
  clearTimeout(timer);
  if (outcome !== "ended") {
    await new Deno.Command("sh", { args: ["-c", `pkill -f [s]erve.*${runsDir}`] }).output();
  }
  await ended;
  await Deno.remove(runsDir, { recursive: true });
  strictEqual(outcome, "ended");
});
