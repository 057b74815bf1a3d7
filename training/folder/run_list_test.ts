import { deepStrictEqual, rejects } from "node:assert";
import { join } from "node:path";
import { lockElsewhere } from "../../tests/support/lock_elsewhere.ts";
import { withFolder } from "../../tests/support/with_folder.ts";
import { finishedRuns, lastUnfinishedRun } from "./run_list.ts";

Deno.test("finishedRuns() lists the runs with metrics, the last first", async () => {
  const files = {
    "a/metrics.json": "{}",
    "b/metrics.json": "{}",
    "c/metrics.json": "{}",
    "unfinished/config.json": "{}",
    "state.kv": "",
  };
  await withFolder(files, async (dir) => {
    for (const [name, seconds] of [["a", 2000], ["b", 3000], ["c", 1000]] as const) {
      await Deno.utime(join(dir, name, "metrics.json"), seconds, seconds);
    }
    deepStrictEqual(await finishedRuns(dir), [
      { name: "b", dir: join(dir, "b"), finishedAt: new Date(3_000_000) },
      { name: "a", dir: join(dir, "a"), finishedAt: new Date(2_000_000) },
      { name: "c", dir: join(dir, "c"), finishedAt: new Date(1_000_000) },
    ]);
  });
});

Deno.test("finishedRuns() gives nothing for a folder that is not there", async () => {
  await withFolder({}, async (dir) => {
    deepStrictEqual(await finishedRuns(join(dir, "runs")), []);
  });
});

Deno.test("lastUnfinishedRun() gives the run that was started last and is not being trained", async () => {
  const files = {
    "2026-01-01-run/training_args.json": "{}",
    "finished/training_args.json": "{}",
    "finished/metrics.json": "{}",
    "older/training_args.json": "{}",
    "running/training_args.json": "{}",
    "not-a-run/config.json": "{}",
  };
  await withFolder(files, async (dir) => {
    const ages = { running: 1, finished: 2, "2026-01-01-run": 3, older: 4 };
    for (const [name, age] of Object.entries(ages)) {
      const at = 1_000_000 - age;
      await Deno.utime(join(dir, name, "training_args.json"), at, at);
    }
    const child = await lockElsewhere(join(dir, "running"));
    deepStrictEqual(await lastUnfinishedRun(dir), join(dir, "2026-01-01-run"));
    await child.end();
    deepStrictEqual(await lastUnfinishedRun(dir), join(dir, "running"));
    await rejects(lastUnfinishedRun(join(dir, "finished")), /Cannot find an unfinished run/);
  });
});
