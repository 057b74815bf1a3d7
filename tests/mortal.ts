/**
 * A command of Graft's that kills or stops itself with a signal, as tests have no permission to do
 * it: `deno run -A tests/mortal.ts '{"signal": "SIGKILL", "afterLines": 9}' worker`
 *
 * @module
 */
import { main } from "../cli/main.ts";

/** When and how a process ends. */
export interface Fate {
  /** SIGSTOP is followed by SIGCONT, after `continueAfterSeconds`. */
  signal: "SIGKILL" | "SIGSTOP";
  /** After so many lines of output. */
  afterLines?: number;
  /** After so many milliseconds, counted from the last of the lines. */
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
const { log } = console;
let lines = 0;
const approach = () => setTimeout(() => meet(fate), afterMs);
if (afterLines === 0) approach();
console.log = (...values) => {
  log(...values);
  if (++lines === afterLines) approach();
};
await main(args);
