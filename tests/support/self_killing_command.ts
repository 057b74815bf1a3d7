/**
 * A command of Graft's that kills or stops itself with a signal, at the very line of output that a
 * test names: `deno run -A tests/support/self_killing_command.ts '{"signal": "SIGKILL", "afterLines": 9}' worker`
 *
 * @module
 */
import { main } from "../../cli/main.ts";

/** When and how a process ends. */
export interface Fate {
  /** SIGSTOP is followed by SIGCONT, after `continueAfterSeconds`. */
  signal: "SIGKILL" | "SIGSTOP";
  /** After this number of lines, heartbeats apart, for a slow machine prints many of them. */
  afterLines?: number;
  /** After this time, counted from the last of the lines. */
  afterMs?: number;
  continueAfterSeconds?: number;
}

function meet({ signal, continueAfterSeconds = 0 }: Fate): void {
  if (signal === "SIGSTOP") {
    const command = `sleep ${continueAfterSeconds}; kill -CONT ${Deno.pid}`;
    new Deno.Command("sh", { args: ["-c", command], stdout: "null", stderr: "null" }).spawn()
      .unref();
  }
  Deno.kill(Deno.pid, signal);
}

const [fateText, ...args] = Deno.args;
const fate: Fate = JSON.parse(fateText!);
const { afterLines = 0, afterMs = 0 } = fate;
const write = Deno.stdout.writeSync.bind(Deno.stdout);
let lines = 0;
const approach = () => setTimeout(() => meet(fate), afterMs);
if (afterLines === 0) approach();
Deno.stdout.writeSync = (bytes) => {
  const written = write(bytes);
  const text = new TextDecoder().decode(bytes.subarray(0, written));
  if (text.endsWith("\n") && !text.includes('"heartbeat"') && ++lines === afterLines) approach();
  return written;
};
await main(args);
