/**
 * Sends a server a million rows, and times its answers to others in the meantime:
 * `deno task bench:upload`, or `deno task bench:upload 100000` for fewer.
 *
 * @module
 */
import { join } from "node:path";
import { randomTexts, Server, writeModel } from "./server.ts";
import { writeTitles } from "./titles.ts";

const ROWS = Number(Deno.args[0] ?? 1_000_000);
const PAUSE_MS = 20;
const QUIET_MS = 5000;

/** How long answers took, in the order in which they came. */
class Latencies {
  readonly #ms: number[] = [];
  failures = 0;

  /** Asks until it is told to stop. */
  async watch(ask: () => Promise<boolean>, goesOn: () => boolean): Promise<void> {
    while (goesOn()) {
      const askedAt = performance.now();
      if (!await ask().catch(() => false)) this.failures++;
      this.#ms.push(performance.now() - askedAt);
      await pause(PAUSE_MS);
    }
  }

  toString(): string {
    const sorted = this.#ms.toSorted((a, b) => a - b);
    const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1]!.toFixed(1);
    return `${sorted.length} answers, ${this.failures} failed; p50 ${at(0.5)} ms, ` +
      `p99 ${at(0.99)} ms, at most ${at(1)} ms`;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The memory of a process, and of those that it has started, in MB. */
async function memoryMb(pid: number): Promise<{ own: number; others: number }> {
  const sum = async (...which: string[]) => {
    const { stdout } = await new Deno.Command("ps", { args: ["-o", "rss=", ...which] }).output();
    return new TextDecoder().decode(stdout).trim().split(/\s+/).reduce(
      (n, it) => n + Number(it),
      0,
    );
  };
  return {
    own: await sum("-p", String(pid)) / 1000,
    others: await sum("--ppid", String(pid)) / 1000,
  };
}

/** Asks for what others ask for, until some work is done. */
async function measure(server: Server, text: () => string, work: Promise<unknown>): Promise<void> {
  let goesOn = true;
  const most = { own: 0, others: 0 };
  const [health, predictions] = [new Latencies(), new Latencies()];
  const watching = [
    health.watch(async () => await server.status("/health") === 200, () => goesOn),
    predictions.watch(() => server.predict(text()), () => goesOn),
    (async () => {
      for (; goesOn; await pause(500)) {
        const { own, others } = await memoryMb(server.pid);
        most.own = Math.max(most.own, own);
        most.others = Math.max(most.others, others);
      }
    })(),
  ];
  await work.finally(() => goesOn = false);
  await Promise.all(watching);
  console.log(`  /health: ${health}`);
  console.log(`  predictions: ${predictions}`);
  console.log(`  memory: ${most.own.toFixed(0)} MB, its subprocesses ${most.others.toFixed(0)} MB`);
}

const dir = await Deno.makeTempDir();
try {
  const table = join(dir, "table.csv");
  await writeTitles(table, ROWS);
  const runsDir = join(dir, "runs");
  const text = randomTexts(await writeModel(runsDir, "tiny"), 16);
  await using server = await Server.start(runsDir, "wasm", ["--workers", "0"]);
  await server.predict(text());
  console.log("Without an upload:");
  await measure(server, text, pause(QUIET_MS));
  const path = "/v1/datasets?name=titles&text=title&label=category_id";
  const { body } = new Response((await Deno.open(table)).readable);
  const startedAt = performance.now();
  console.log(`While ${ROWS.toLocaleString("en")} rows come:`);
  const upload = server.status(path, { method: "POST", body });
  await measure(server, text, upload);
  const seconds = (performance.now() - startedAt) / 1000;
  console.log(`  done in ${seconds.toFixed(1)} s, with status ${await upload}`);
} finally {
  await Deno.remove(dir, { recursive: true });
}
