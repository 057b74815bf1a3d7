/**
 * Times `data prepare` on a million generated rows, and measures its memory.
 *
 * @module
 */
import { join } from "node:path";
import { PartialFile } from "../lib/files.ts";
import { prepare } from "../data/preparation/prepare.ts";
import { Random } from "../lib/random.ts";

const ROWS = 1_000_000;
const WORDS = 30_000;
const CATEGORIES = [1, 2, 10, 15, 17, 19, 20, 22, 23, 24, 25, 26, 27, 28, 29, 43];

/** Writes rows as long as titles; about one in eight is repeated. */
async function generate(file: string): Promise<void> {
  await using output = await PartialFile.create(file);
  const random = new Random(1);
  const title = () => {
    const words = Array.from({ length: 4 + random.integer(10) }, () => {
      const word = `w${random.integer(WORDS).toString(36)}`;
      return random.integer(4) === 0 ? word.toUpperCase() : word;
    });
    return `"The ${words.join(" ")}, No. ${random.integer(100)}!"`;
  };
  let last = title();
  let lines = ["video_id,title,category_id,views,comments_disabled"];
  for (let row = 0; row < ROWS; row++) {
    if (random.integer(8) > 0) last = title();
    const category = CATEGORIES[random.integer(CATEGORIES.length)];
    lines.push(`v${row},${last},${category},${random.integer(1e6)},False`);
    if (lines.length < 10_000 && row < ROWS - 1) continue;
    await output.write(new TextEncoder().encode(lines.join("\n") + "\n"));
    lines = [];
  }
  await output.publish();
}

const dir = await Deno.makeTempDir();
try {
  const raw = join(dir, "raw.csv");
  await generate(raw);
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
