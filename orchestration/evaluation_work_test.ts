import { deepStrictEqual, match } from "node:assert";
import { dirname } from "node:path";
import { evaluationOf } from "../tests/support/run_store_contract.ts";
import { EvaluationWork } from "./evaluation_work.ts";
import type { JobMessage } from "./job.ts";
import { KvRunStore } from "./kv_run_store.ts";
import type { Evaluation } from "./run_store.ts";

/** An evaluation after a subprocess has sent these messages and ended. */
async function evaluated(
  messages: readonly JobMessage[],
  prepare: (reportFile: string) => Promise<void> = async () => {},
): Promise<Evaluation> {
  const runsDir = await Deno.makeTempDir();
  try {
    using store = await KvRunStore.open(":memory:");
    await store.createEvaluation(evaluationOf("1"));
    const work = new EvaluationWork({
      store,
      runsDir,
      processes: {
        run: async (_id, _job, onMessage) => {
          for (const message of messages) await onMessage(message);
          return "code 1";
        },
      },
      files: undefined,
      hideFolders: (text) => text.replaceAll(runsDir, "runs"),
      closing: new AbortController().signal,
    });
    await prepare(work.reportFile("1"));
    deepStrictEqual(await work.run("1"), true);
    return (await store.getEvaluation("1"))!;
  } finally {
    await Deno.remove(runsDir, { recursive: true });
  }
}

const REPORT = { type: "report", report: { n: 3 } } as unknown as JobMessage;

Deno.test("EvaluationWork ends an evaluation with its report, or the subprocess's error", async () => {
  deepStrictEqual((await evaluated([REPORT])).state, "succeeded");
  const failed = await evaluated([{ type: "error", message: "there is no such column" }]);
  deepStrictEqual([failed.state, failed.error], ["failed", "there is no such column"]);
  deepStrictEqual((await evaluated([])).error, "the process ended with code 1");
});

Deno.test("EvaluationWork fails an evaluation whose report cannot be written", async () => {
  const { state, error } = await evaluated([REPORT], async (reportFile) => {
    await Deno.mkdir(dirname(reportFile), { recursive: true });
    await Deno.mkdir(reportFile);
  });
  deepStrictEqual(state, "failed");
  match(error!, /1\.json/);
});
