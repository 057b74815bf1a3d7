/**
 * Sees evaluations through to their end, each in a subprocess, and alone writes their outcome into
 * the store.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { removeFolder, writeJson } from "../lib/files.ts";
import { messageOf } from "../lib/format.ts";
import { baseNameOf, isAdapter } from "../models/formats/adapter.ts";
import type { EvaluateJob } from "./job.ts";
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

/** The folder of reports in that of the runs. */
export const REPORTS_DIR = "evaluations";

/** The file of a report in the folder of its evaluation, as the members of a cluster share it. */
export const SHARED_REPORT = "report.json";
/** The file of an evaluation's predictions in that folder. */
export const SHARED_ROWS = "rows.jsonl";

/** The files of an evaluation's report and predictions, where no cluster shares them. */
export function evaluationFiles(reportsDir: string, id: string): { report: string; rows: string } {
  return { report: join(reportsDir, `${id}.json`), rows: join(reportsDir, `${id}.rows.jsonl`) };
}

/** Options of {@link EvaluationWork}. */
export interface EvaluationWorkOptions extends Omit<RunWorkOptions, "datasetDir" | "processes"> {
  processes: Pick<JobProcesses, "run">;
}

/** The work on evaluations. */
export class EvaluationWork {
  readonly #store: RunStore;
  readonly #files: RunFiles | undefined;
  readonly #options: EvaluationWorkOptions;

  constructor(options: EvaluationWorkOptions) {
    this.#store = options.store;
    this.#files = options.files;
    this.#options = options;
  }

  /** The file of an evaluation's report, which may be too large for a value of the store. */
  reportFile(id: string): string {
    return this.#files === undefined
      ? evaluationFiles(this.#reportsDir, id).report
      : join(this.#reportsDir, id, SHARED_REPORT);
  }

  /** The file of an evaluation's predictions. */
  rowsFile(id: string): string {
    return this.#files === undefined
      ? evaluationFiles(this.#reportsDir, id).rows
      : join(this.#reportsDir, id, SHARED_ROWS);
  }

  /** Makes sure that the files of an evaluation that has succeeded are on this machine. */
  async bringReport({ id, artifact }: Evaluation): Promise<void> {
    if (artifact === undefined) return;
    await this.#files?.bringReport(artifact, join(this.#reportsDir, id));
  }

  /** Runs a claimed evaluation, unless the server closes, and returns whether it is over. */
  async run(id: string): Promise<boolean> {
    const { closing, hideFolders } = this.#options;
    const claimed = await this.#retry(() => this.#store.getEvaluation(id));
    if (claimed === undefined || isOver(claimed)) return true;
    const attempt = (claimed.attempt ?? 0) + 1;
    await this.#change(id, attempt - 1, { state: "running", attempt });
    const error = await this.#measure(claimed);
    if (error !== undefined && closing.aborted) return false;
    checkAttempt(id, await this.#retry(() => this.#store.getEvaluation(id)), attempt);
    const artifact = error === undefined
      ? await this.#files?.storeReport(claimed, dirname(this.reportFile(id)))
      : undefined;
    await this.#change(id, attempt, {
      finished_at: new Date().toISOString(),
      ...artifact !== undefined && { artifact },
      ...error === undefined
        ? { state: "succeeded" }
        : { state: "failed", error: hideFolders(error).slice(0, MAX_ERROR_LENGTH) },
    });
    // Those who ask for a report fetch it.
    if (this.#files !== undefined) await removeFolder(dirname(this.reportFile(id)));
    return true;
  }

  get #reportsDir(): string {
    return join(this.#options.runsDir, REPORTS_DIR);
  }

  /** Measures in a subprocess, and writes the report; returns the error if there is none. */
  async #measure(evaluation: Evaluation): Promise<string | undefined> {
    const { id } = evaluation;
    const reportFile = this.reportFile(id);
    await Deno.mkdir(dirname(reportFile), { recursive: true });
    let failure: string | undefined;
    let reported = false;
    try {
      using inputs = await this.#files?.bringEvaluated(evaluation);
      const job = await this.#jobOf(evaluation, inputs);
      const reason = await this.#options.processes.run(id, job, async (message) => {
        if (message.type === "error") failure = message.message;
        if (message.type !== "report") return;
        await writeJson(reportFile, message.report);
        reported = true;
      });
      failure ??= `the process ended with ${reason}`;
    } catch (error) {
      failure ??= messageOf(error);
    }
    return reported ? undefined : failure;
  }

  /** The job of an evaluation, with its files on this machine. */
  async #jobOf(
    { id, job: asked }: Evaluation,
    { modelDir, file }: Pick<EvaluateJob, "modelDir" | "file"> = asked,
  ): Promise<EvaluateJob> {
    const job = { ...asked, modelDir, file, rowsFile: this.rowsFile(id) };
    return await isAdapter(modelDir) ? { ...job, base: await baseNameOf(modelDir) } : job;
  }

  /** Changes the evaluation, unless another process has taken it. */
  async #change(id: string, attempt: number, fields: Partial<Evaluation>): Promise<void> {
    await this.#retry(() =>
      this.#store.updateEvaluation(id, (evaluation) => {
        checkAttempt(id, evaluation, attempt);
        return fields;
      })
    );
  }

  async #retry<Result>(change: () => Promise<Result>): Promise<Result> {
    return await retry(change, this.#options.closing);
  }
}

/** @throws {AttemptReplacedError} If the evaluation is at another attempt. */
function checkAttempt(id: string, evaluation: Evaluation | undefined, attempt: number): void {
  if (evaluation !== undefined && (evaluation.attempt ?? 0) === attempt) return;
  throw new AttemptReplacedError(`Cannot change evaluation '${id}': another has taken it`);
}
