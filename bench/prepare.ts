/**
 * Times `data prepare` on a million generated rows, and measures its memory.
 *
 * @module
 */
import { join } from "node:path";
import { prepare } from "../data/preparation/prepare.ts";
import { writeTitles } from "./titles.ts";

const ROWS = 1_000_000;

const dir = await Deno.makeTempDir();
try {
  const raw = join(dir, "raw.csv");
  await writeTitles(raw, ROWS);
  let peak = 0;
  const watch = setInterval(() => peak = Math.max(peak, Deno.memoryUsage().rss), 50);
  const started = performance.now();
  const { counts } = await prepare(raw, { settings: {}, outDir: join(dir, "out") });
  const seconds = (performance.now() - started) / 1000;
  clearInterval(watch);
  console.log(
    `${counts.read.toLocaleString("en")} rows, ${
      counts.distinct_texts.toLocaleString("en")
    } distinct texts: ` +
      `${seconds.toFixed(1)} s, ${Math.round(peak / 2 ** 20)} MiB at most`,
  );
} finally {
  await Deno.remove(dir, { recursive: true });
}
