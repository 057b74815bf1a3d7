/**
 * Times the first step of `train` on a table of generated texts, and measures its memory.
 *
 *     deno task bench:first-step 1000000
 *
 * @module
 */
import { join } from "node:path";
import { CsvBlocks } from "../data/csv_file.ts";
import { PartialFile } from "../lib/files.ts";
import { Random } from "../lib/random.ts";
import { BUNDLED_MODEL } from "../models/own_models.ts";
import { modelDir } from "../models/hub.ts";
import { readTrainingData } from "../training/folder/training_data.ts";
import { TrainSettings } from "../training/settings.ts";
import { checkBeforeData, train } from "../training/train.ts";
import { PeakMemory } from "./peak_memory.ts";

const WORDS = 75;
const LABELS = ["sport", "news", "music", "film", "games"];

/** Writes texts of words that the bundled base knows, the first of its vocabulary most often. */
async function writeTexts(path: string, rows: number): Promise<void> {
  const random = new Random(1);
  const vocabulary = await Deno.readTextFile(join(await modelDir(BUNDLED_MODEL), "vocab.txt"));
  const known = vocabulary.split("\n").filter((token) => /^[a-z]{2,}$/.test(token));
  await using file = await PartialFile.create(path);
  const encoder = new TextEncoder();
  const blocks = new CsvBlocks();
  blocks.add(["text", "label"]);
  for (let row = 0; row < rows; row++) {
    const words = Array.from(
      { length: WORDS - 1 },
      () => known[Math.floor(known.length ** random.uniform()) - 1]!,
    );
    const label = LABELS[random.integer(LABELS.length)]!;
    const text = `${row}${row % 3 === 0 ? "," : ""} ${words.join(" ")} ${label}`;
    const block = blocks.add([text, label]);
    if (block !== undefined) await file.write(encoder.encode(block));
  }
  await file.write(encoder.encode(blocks.rest()));
  await file.publish();
}

const rows = Number(Deno.args[0] ?? 1_000_000);
const dir = await Deno.makeTempDir();
try {
  const path = join(dir, "texts.csv");
  await writeTexts(path, rows);
  const { size } = await Deno.stat(path);
  using memory = new PeakMemory();
  const stopping = new AbortController();
  const outDir = join(dir, "run");
  const settings = TrainSettings.parse({ device: "wasm" });
  const started = performance.now();
  await checkBeforeData(settings, { outDir });
  await using data = await readTrainingData(path, { settings, outDir, onNote: () => {} });
  const readAt = performance.now();
  await train(data.dataset, {
    settings: data.settings,
    outDir,
    keepData: data.keepData,
    signal: stopping.signal,
    onEvent: ({ type }) => {
      if (type !== "step" || stopping.signal.aborted) return;
      const seconds = (from: number) => ((performance.now() - from) / 1000).toFixed(1);
      console.log(
        `${rows.toLocaleString("en")} texts, ${Math.round(size / 1e6)} MB: first step after ` +
          `${seconds(started)} s, ${seconds(readAt)} s of them after reading, ` +
          `${Math.round(memory.bytes / 1e6)} MB at most`,
      );
      stopping.abort();
    },
  }).catch((error) => {
    if (!stopping.signal.aborted) throw error;
  });
} finally {
  await Deno.remove(dir, { recursive: true });
}
