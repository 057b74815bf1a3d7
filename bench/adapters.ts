/**
 * The cost of a batch whose rows belong to many adapters of one base.
 *
 * @module
 */
import { join } from "node:path";
import { readConfig } from "../models/family.ts";
import { AdapterBank, type BankRow } from "../models/inference/adapter_bank.ts";
import { tablesOf } from "../models/inference/bank_tables.ts";
import { readAdapter } from "../models/formats/adapter.ts";
import { ADAPTER_WEIGHTS_FILE } from "../models/formats/adapter_files.ts";
import { Tokenizer } from "../models/text/tokenizer.ts";
import type { Executor } from "../onnx/runtime/executor.ts";
import { type AdapterMode, BENCH_MODEL, randomTexts, writeAdapters, writeModel } from "./server.ts";
import { type BENCH_SIZES, median } from "./train.ts";

/** Settings of {@link benchAdapters}. */
export interface AdapterBenchOptions {
  size: keyof typeof BENCH_SIZES;
  /** Tokens of each text. */
  length: number;
  /** The kind of the adapters, with its default settings. */
  mode: AdapterMode;
  /** The number of adapters, and of rows in the batch. */
  adapters: number;
  /** The number of batches of each kind, timed in turn. */
  batches: number;
}

/** The result of {@link benchAdapters}; times are medians. */
export interface AdapterBench {
  /** A batch whose rows belong to one adapter. */
  one_adapter_ms: number;
  /** The same texts, each for an adapter of its own. */
  mixed_ms: number;
  /** The speed of the mixed batch divided by that of the other. */
  mixed_share: number;
  bytes_per_adapter: number;
  /** Of the file of its weights. */
  file_bytes: number;
}

/** Times batches on one base with adapters of random values. */
export async function benchAdapters(
  executor: Executor,
  { mode, size, length, adapters, batches }: AdapterBenchOptions,
): Promise<AdapterBench> {
  const runsDir = await Deno.makeTempDir();
  try {
    const text = randomTexts(await writeModel(runsDir, size), length);
    await writeAdapters(runsDir, adapters, mode);
    const baseDir = join(runsDir, BENCH_MODEL);
    const names = Array.from({ length: adapters }, (_, i) => `adapter-${i}`);
    const stored = await Promise.all(names.map((name) => readAdapter(join(runsDir, name))));
    const bank = await AdapterBank.load(executor, baseDir, {
      memoryBudgetBytes: Infinity,
      tables: tablesOf(stored.slice(0, 1), await readConfig(baseDir)),
    });
    for (const [i, name] of names.entries()) await bank.add(name, stored[i]!);
    const tokenizer = await Tokenizer.load(baseDir);
    const mixed = names.map((adapter): BankRow => ({ adapter, ids: tokenizer.encode(text()).ids }));
    const one = mixed.map((row): BankRow => ({ ...row, adapter: names[0]! }));
    const time = async (rows: readonly BankRow[]) => {
      const startedAt = performance.now();
      await bank.logits(rows);
      return performance.now() - startedAt;
    };
    for (const rows of [one, mixed]) await time(rows);
    const oneMs: number[] = [];
    const mixedMs: number[] = [];
    for (let batch = 0; batch < batches; batch++) {
      oneMs.push(await time(one));
      mixedMs.push(await time(mixed));
    }
    const bytes = bank.bytes;
    const { size: fileBytes } = await Deno.stat(join(runsDir, names[0]!, ADAPTER_WEIGHTS_FILE));
    await bank.release();
    return {
      one_adapter_ms: median(oneMs),
      mixed_ms: median(mixedMs),
      mixed_share: median(oneMs) / median(mixedMs),
      bytes_per_adapter: bytes / adapters,
      file_bytes: fileBytes,
    };
  } finally {
    await Deno.remove(runsDir, { recursive: true });
  }
}
