import { deepStrictEqual, match, ok, rejects } from "node:assert";
import { join } from "node:path";
import { exists } from "../lib/files.ts";
import { TrainSettings } from "./settings.ts";
import { newSearch, readSearch, type Search, tune, TUNE_PICTURE } from "./tune.ts";
import { foodAndMusic } from "../tests/support/small_datasets.ts";

const EXAMPLES = Array.from({ length: 16 }, (_, i) => ({
  text: i % 2 === 0 ? `a song ${i}` : `a recipe ${i}`,
  label: i % 2 === 0 ? "music" : "food",
}));
const DATASET = foodAndMusic(EXAMPLES, EXAMPLES.slice(0, 4));
const SETTINGS = TrainSettings.parse({
  model: "scratch:tiny",
  threads: 1,
  batchSize: 8,
  maxLength: 8,
  warmupRatio: 0,
  partner: "none",
});

const SIZE = { examples: 16, labels: 2 };

Deno.test("newSearch() tries the defaults first, rates around them, and nothing that is given", async () => {
  const { trials } = await newSearch(SETTINGS, "/data", { count: 6, size: SIZE });
  deepStrictEqual(trials[0], { learningRate: 1e-3, epochs: 8 });
  for (const { learningRate, epochs } of trials) {
    ok(learningRate >= 2.5e-4 && learningRate <= 4e-3 && [4, 8, 12, 16].includes(epochs));
  }
  ok(new Set(trials.map(({ learningRate }) => learningRate)).size > 3);
  const fixed = await newSearch({ ...SETTINGS, learningRate: 0.01 }, "/data", {
    count: 4,
    size: SIZE,
  });
  ok(fixed.trials.every(({ learningRate }) => learningRate === 0.01));
  await rejects(
    newSearch({ ...SETTINGS, learningRate: 0.01, epochs: 2 }, "/data", { count: 4, size: SIZE }),
    /none is left/,
  );
});

Deno.test("newSearch() tries sizes of an adapter, but not beside one that is chosen", async () => {
  for (const [mode, key] of [["lora", "loraRank"], ["prefix", "prefixLength"]] as const) {
    const settings = { ...SETTINGS, model: "bundled", mode };
    const options = { count: 6, size: SIZE };
    const { trials } = await newSearch(settings, "/data", options);
    ok(new Set(trials.slice(1).map((trial) => trial[key])).size > 1);
    const fixed = await newSearch(settings, "/data", { ...options, chosen: [key] });
    ok(fixed.trials.every((trial) => trial[key] === undefined));
  }
});

Deno.test("tune() halves, keeps to validation, goes on where it stopped, and trains the best again", async () => {
  const outDir = await Deno.makeTempDir();
  try {
    const begun: [trial: number, share: number][] = [];
    const options = (search: Search, signal?: AbortSignal) => ({
      outDir,
      search,
      signal,
      onEvent: () => {},
      onTrial: (_: Search, trial: number, share: number, result?: unknown) => {
        if (result === undefined) begun.push([trial, share]);
      },
    });
    const search = {
      ...await newSearch(SETTINGS, "/data", { count: 1, size: SIZE }),
      trials: [{ learningRate: 1e-6, epochs: 24 }, { learningRate: 2e-3, epochs: 24 }],
    };
    const controller = new AbortController();
    const stopping = tune(DATASET, {
      ...options(search, controller.signal),
      onTrial: (_search, _trial, _share, result) => {
        if (result !== undefined) controller.abort();
      },
    });
    await rejects(stopping);
    const left = (await readSearch(outDir))!;
    deepStrictEqual(left.results.map(({ trial, share }) => [trial, share]), [[0, 0.25]]);

    const { best, result } = await tune(DATASET, options(left));
    deepStrictEqual(begun, [[1, 0.25], [0, 0.5], [1, 0.5], [0, 1], [1, 1]]);
    deepStrictEqual([best, result.metrics.split, result.metrics.n], [1, "test", 4]);
    ok(!await exists(join(outDir, "trial")));
    const picture = await Deno.readTextFile(join(outDir, TUNE_PICTURE));
    deepStrictEqual(picture.match(/<circle /g)?.length, 6);
    match(picture, /stroke="#d62728"/);
  } finally {
    await Deno.remove(outDir, { recursive: true });
  }
});

Deno.test("tune() begins nothing that would end after its minutes", async () => {
  const outDir = await Deno.makeTempDir();
  try {
    const search = {
      ...await newSearch(SETTINGS, "/data", { count: 3, minutes: 1e-6, size: SIZE }),
    };
    const short = search.trials.map((trial) => ({ ...trial, epochs: 1 }));
    const { search: found, best } = await tune(DATASET, {
      outDir,
      search: { ...search, trials: short },
      onEvent: () => {},
      onTrial: () => {},
    });
    deepStrictEqual([found.results.length, best], [1, 0]);
  } finally {
    await Deno.remove(outDir, { recursive: true });
  }
});
