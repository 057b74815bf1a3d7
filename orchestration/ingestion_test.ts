import { deepStrictEqual, match, ok, rejects } from "node:assert";
import { join } from "node:path";
import { DiskFullError, exists } from "../lib/files.ts";
import { UserError } from "../lib/user_error.ts";
import { Ingestion } from "./ingestion.ts";
import type { SpawnWorker } from "./job_process.ts";

const SETTINGS = { text: "text", label: "label", seed: 11 };

/** Runs a test with a temporary folder that holds a data set's raw file. */
async function withRaw(
  content: string,
  test: (dataset: Parameters<Ingestion["run"]>[0], dir: string) => Promise<void>,
): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    const file = join(dir, "raw.csv");
    await Deno.writeTextFile(file, content);
    const problemType = "single_label_classification";
    const incoming = { file, settings: SETTINGS };
    await test(
      { name: "mine", dir, problemType, incoming, auditFile: join(dir, "audit.json") },
      dir,
    );
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Starts a subprocess that runs another program. */
function program(source: string): SpawnWorker {
  return () =>
    new Deno.Command("deno", {
      args: ["eval", source],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
}

const ROWS = Array.from({ length: 60 }, (_, i) => `word${i} and more,${i % 2 ? "a" : "b"}\n`);

Deno.test("Ingestion makes data sets in subprocesses, and gives their faults with the line", async () => {
  const ingestion = new Ingestion();
  await withRaw(`text,label\n${ROWS.join("")}`, async (dataset, dir) => {
    await ingestion.run(dataset);
    const { files } = JSON.parse(await Deno.readTextFile(join(dir, "audit.json")));
    deepStrictEqual(
      Object.values<{ rows: number }>(files).reduce((sum, { rows }) => sum + rows, 0),
      60,
    );
    ok(!await exists(join(dir, "raw.csv")));
  });
  await withRaw("text,label\none,a\ntwo\n", async (dataset) => {
    await rejects(ingestion.run(dataset), (error) => {
      ok(error instanceof UserError);
      match(error.message, /line 3/);
      return true;
    });
  });
});

Deno.test("Ingestion ends a subprocess with the client, after too long, and survives its death", async () => {
  const asleep = program("setTimeout(() => {}, 1e6)");
  await withRaw("", async (dataset) => {
    const ingestion = new Ingestion({ spawn: asleep });
    const leaving = new AbortController();
    const gone = ingestion.run(dataset, leaving.signal);
    setTimeout(() => leaving.abort(), 100);
    await rejects(gone, /abort/i);
    const late = new Ingestion({ spawn: asleep, timeoutMs: 100 }).run(dataset);
    await rejects(late, /^UserError: Cannot read the data set: it took more than 0\.1 seconds$/);
    const dying = new Ingestion({ spawn: program("console.error('out of luck'); Deno.exit(7)") });
    await rejects(
      dying.run(dataset),
      /^IngestionEndedError: .*'mine': the process ended with exit code 7: out/,
    );
    const full = { type: "error", message: "there is no room", fault: "disk_full" };
    const failing = program(`console.log(${JSON.stringify(JSON.stringify(full))})`);
    await rejects(new Ingestion({ spawn: failing }).run(dataset), DiskFullError);
  });
});
