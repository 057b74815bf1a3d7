/**
 * Rows like those of real tables, for benchmarks.
 *
 * @module
 */
import { PartialFile } from "../lib/files.ts";
import { Random } from "../lib/random.ts";

const WORDS = 30_000;
const CATEGORIES = [1, 2, 10, 15, 17, 19, 20, 22, 23, 24, 25, 26, 27, 28, 29, 43];

/** Writes a CSV of rows as long as titles, `title` and `category_id` among others; one in eight is repeated. */
export async function writeTitles(file: string, rows: number): Promise<void> {
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
  for (let row = 0; row < rows; row++) {
    if (random.integer(8) > 0) last = title();
    const category = CATEGORIES[random.integer(CATEGORIES.length)];
    lines.push(`v${row},${last},${category},${random.integer(1e6)},False`);
    if (lines.length < 10_000 && row < rows - 1) continue;
    await output.write(new TextEncoder().encode(lines.join("\n") + "\n"));
    lines = [];
  }
  await output.publish();
}
