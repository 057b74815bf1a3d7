/**
 * Sees evaluations through to their end, each in a subprocess, and alone writes their outcome into
 * the store.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { writeJson } from "../lib/files.ts";
import type { HideFolders } from "../lib/own_folders.ts";
import { baseNameOf, isAdapter } from "../models/formats/adapter.ts";
import type { JobMessage } from "./job.ts";
import type { JobProcesses } from "./job_processes.ts";
import { retry } from "./retry.ts";
import type { RunFiles } from "./run_files.ts";
import {
  AttemptReplacedError,
  type Evaluation,
  isOver,
  MAX_ERROR_LENGTH,
  type RunStore,
} from "./run_store.ts";
import type { RunWorkOptions } from "./run_work.ts";

/** Options of {@link EvaluationWork}. */
export type EvaluationWorkOptions = Omit<RunWorkOptions, "datasetDir">;

/** The work on evaluations. */
export class EvaluationWork {
  readonly #store: RunStore;
  readonly #reportsDir: string;
  readonly #processes: JobProcesses;
  readonly #files: RunFiles | undefined;
  readonly #hideFolders: HideFolders;
  readonly #closing: AbortSignal;

  constructor(options: EvaluationWorkOptions) {
    this.#store = options.store;
    this.#reportsDir = join(options.runsDir, "evaluations");
    this.#processes = options.processes;
    this.#files = options.files;
    this.#hideFolders = options.hideFolders;
    this.#closing = options.closing;
  }

  /** The file of an evaluation's report, which may be too large for a value of the store. */
  reportFile(id: string): string {
    return this.#files === undefined
      ? join(this.#reportsDir, `${id}.json`)
      : join(this.#reportsDir, id, "report.json");
  }

  /** The file of an evaluation's predictions. */
  rowsFile(id: string): string {
    return this.#files === undefined
      ? join(this.#reportsDir, `${id}.rows.jsonl`)
      : join(this.#reportsDir, id, "rows.jsonl");
  }

  /** Makes sure that the files of an evaluation that has succeeded are on this machine. */
  async bringReport({ id, artifact }: Evaluation): Promise<void> {
    if (artifact === undefined) return;
    await this.#files?.bringReport(artifact, join(this.#reportsDir, id));
  }

  /** Runs a claimed evaluation, unless the server closes, and returns whether it is over. */
  async run(id: string): Promise<boolean> {
    const claimed = await retry(() => this.#store.getEvaluation(id), this.#closing);
    if (claimed === undefined || isOver(claimed)) return true;
    const attempt = (claimed.attempt ?? 0) + 1;
    const check = (evaluation: Evaluation | undefined, expected: number) => {
      if (evaluation !== undefined && (evaluation.attempt ?? 0) === expected) return;
      throw new AttemptReplacedError(`Cannot change evaluation '${id}': another has taken it`);
    };
    const change = (fields: Partial<Evaluation>, expected: number) =>
      retry(() =>
        this.#store.updateEvaluation(id, (evaluation) => {
          check(evaluation, expected);
          return fields;
        }), this.#closing);
    const { job: asked } = await change({ state: "running", attempt }, attempt - 1);
    let failure: string | undefined;
    let report: object | undefined;
    const reportDir = dirname(this.reportFile(id));
    await Deno.mkdir(reportDir, { recursive: true });
    const work = async (onMessage: (message: JobMessage) => Promise<void>) => {
      const inputs = await this.#files?.bringEvaluated(claimed);
      const { modelDir } = { ...asked, ...inputs };
      const base = await isAdapter(modelDir) ? await baseNameOf(modelDir) : undefined;
      const rowsFile = this.rowsFile(id);
      const job = { ...asked, ...inputs, ...base !== undefined && { base }, rowsFile };
      return await this.#processes.run(id, job, onMessage);
    };
    const reason = await work(async (message) => {
      if (message.type === "error") failure = message.message;
      if (message.type !== "report") return;
      ({ report } = message);
      await writeJson(this.reportFile(id), report);
    }).catch((error) => String(error));
    if (report === undefined && this.#closing.aborted) return false;
    const error = failure ?? `the process ended with ${reason}`;
    check(await retry(() => this.#store.getEvaluation(id), this.#closing), attempt);
    const artifact = report && await this.#files?.storeReport(claimed, reportDir);
    await change({
      finished_at: new Date().toISOString(),
      ...artifact !== undefined && { artifact },
      ...report === undefined
        ? { state: "failed", error: this.#hideFolders(error).slice(0, MAX_ERROR_LENGTH) }
        : { state: "succeeded" },
    }, attempt);
    return true;
  }
}
