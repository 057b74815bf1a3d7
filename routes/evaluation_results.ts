/**
 * Reads evaluations and their predictions, as the routes answer them.
 *
 * @module
 */
import { HTTPException } from "hono/http-exception";
import { basename } from "node:path";
import type { z } from "zod";
import type { Problem } from "../data/labels.ts";
import {
  type EvaluationRow,
  EvaluationRows,
  matchingRows,
} from "../orchestration/evaluation_rows.ts";
import type { Evaluation, EvaluationSummary, RunStore } from "../orchestration/run_store.ts";
import type { Supervisor } from "../orchestration/supervisor.ts";
import { calibrationOf } from "../training/calibration_error.ts";
import { contingencyOf, mcnemarP } from "../training/mcnemar.ts";
import { residualsOf } from "../training/residuals.ts";
import { invalidField } from "./errors.ts";
import type {
  ComparisonQuery,
  EvaluationAnswer,
  EvaluationComparison,
  Report,
  Row,
  RowQuery,
  WholeEvaluation,
} from "./evaluation_schemas.ts";
import { type Page, pageOf } from "./pagination.ts";

/** The choice of evaluations in a list. */
export interface EvaluationQuery {
  /** As `name@version`, or all versions of a name. */
  model?: string | undefined;
  dataset?: string | undefined;
  limit: number;
  /** The last evaluation of the page before. */
  after?: string | undefined;
}

/** A text of an evaluation, as it is answered. */
type AnsweredRow = z.infer<typeof Row>;

/** The evaluations of a server. */
export class EvaluationResults {
  readonly #store: RunStore;
  readonly #supervisor: Pick<Supervisor, "bringReport" | "reportFile" | "rowsFile">;
  readonly #rows = new EvaluationRows();

  constructor(
    store: RunStore,
    supervisor: Pick<Supervisor, "bringReport" | "reportFile" | "rowsFile">,
  ) {
    this.#store = store;
    this.#supervisor = supervisor;
  }

  /** An evaluation as it is answered, without its figures. */
  answer(
    { job, attempt: _, artifact: __, ...evaluation }: Evaluation,
  ): z.infer<typeof EvaluationAnswer> {
    const split = basename(job.file).startsWith("test") ? "test" : "validation";
    return { ...evaluation, split };
  }

  /** A page of evaluations, the newest first, with their main figures. */
  async page(
    { model, dataset, limit, after }: EvaluationQuery,
  ): Promise<Page<z.infer<typeof EvaluationAnswer>>> {
    const begin = after === undefined ? undefined : await this.#get(after);
    const isWanted = (summary: EvaluationSummary) =>
      (model === undefined || summary.model === model ||
        summary.model.replace(/@\d+$/, "") === model) &&
      (dataset === undefined || summary.dataset === dataset);
    const { items, next } = await pageOf(this.#store.newestEvaluations(begin, isWanted), limit);
    return { items: await Promise.all(items.map((it) => this.#withFigures(it))), next };
  }

  /**
   * An evaluation with its report, where it is over, and the data of its diagram.
   *
   * @throws {HTTPException} 404 if there is none.
   */
  async whole(id: string): Promise<z.infer<typeof WholeEvaluation>> {
    const evaluation = await this.#get(id);
    if (evaluation.state !== "succeeded") return this.answer(evaluation);
    const report = await this.#reportOf(evaluation);
    const { problem_type } = report;
    const rows = problem_type === "multi_label_classification"
      ? undefined
      : await this.#rows.read(this.#supervisor.rowsFile(id), problem_type);
    const drawn = rows &&
      (problem_type === "regression"
        ? { residuals: residualsOf(rows.map(numbersOf)) }
        : { calibration: calibrationOf(rows.map(scoredPrediction)) });
    return { ...this.answer(evaluation), report, ...drawn };
  }

  /**
   * Some of the texts of an evaluation.
   *
   * @throws {HTTPException} 404 if there is no such evaluation; 409 if it has no predictions.
   */
  async rows(
    id: string,
    { order, ...filter }: z.infer<typeof RowQuery>,
  ): Promise<AnsweredRow[]> {
    const { rows, problem } = await this.#allRows(id);
    return inOrder(matchingRows(rows, filter, problem).map(withoutScores), order);
  }

  /**
   * Compares two evaluations on the same texts.
   *
   * @throws {HTTPException} As {@link rows}; 409 if numbers are predicted; 422 if the texts differ.
   */
  async comparison(
    id: string,
    { with: otherId, outcome, limit, offset }: z.infer<typeof ComparisonQuery>,
  ): Promise<z.infer<typeof EvaluationComparison>> {
    const { rows, problem } = await this.#allRows(id);
    const { rows: others } = await this.#allRows(otherId);
    if (problem.problemType === "regression") {
      throw new HTTPException(409, {
        message: "Numbers are neither right nor wrong, so that this test does not apply to them",
      });
    }
    if (!haveSameTexts(rows, others)) {
      throw invalidField("with", "must be an evaluation on the same texts");
    }
    const table = contingencyOf(rows.map(isRight), others.map(isRight));
    const listed = rows
      .filter(({ index, right }) =>
        right !== others[index]!.right && right === (outcome === "first_only")
      )
      .slice(offset, offset + limit)
      .map((row) => ({ ...withoutScores(row), other: others[row.index]!.predicted }));
    return { ...table, p: mcnemarP(table), rows: listed };
  }

  async #get(id: string): Promise<Evaluation> {
    const evaluation = await this.#store.getEvaluation(id);
    if (evaluation !== undefined) return evaluation;
    throw new HTTPException(404, { message: `There is no evaluation '${id}'` });
  }

  async #reportOf(evaluation: Evaluation): Promise<z.infer<typeof Report>> {
    await this.#supervisor.bringReport(evaluation);
    return JSON.parse(await Deno.readTextFile(this.#supervisor.reportFile(evaluation.id)));
  }

  async #withFigures(evaluation: Evaluation): Promise<z.infer<typeof EvaluationAnswer>> {
    if (evaluation.state !== "succeeded") return this.answer(evaluation);
    const figures = Object.entries(await this.#reportOf(evaluation))
      .filter(([key, value]) => key === "problem_type" || typeof value === "number");
    return { ...this.answer(evaluation), ...Object.fromEntries(figures) };
  }

  async #allRows(id: string): Promise<{ rows: EvaluationRow[]; problem: Problem }> {
    const evaluation = await this.#get(id);
    if (evaluation.state === "succeeded") {
      const { problem_type: problemType, per_class = [] } = await this.#reportOf(evaluation);
      const rows = await this.#rows.read(this.#supervisor.rowsFile(id), problemType);
      const labels = per_class.map(({ label }) => label);
      if (rows !== undefined) return { rows, problem: { problemType, labels } };
    }
    const reason = evaluation.state === "succeeded"
      ? "an older server has made it, which kept none"
      : `it is ${evaluation.state}`;
    throw new HTTPException(409, { message: `Evaluation '${id}' has no predictions: ${reason}` });
  }
}

function withoutScores({ scores: _, ...row }: EvaluationRow): AnsweredRow {
  return row;
}

function numbersOf({ label, predicted }: EvaluationRow) {
  return { label: Number(label), predicted: Number(predicted) };
}

function scoredPrediction({ score, right }: EvaluationRow) {
  return { score: score ?? 0, isRight: right };
}

function isRight({ right }: EvaluationRow): boolean {
  return right;
}

function inOrder(rows: AnsweredRow[], order: z.infer<typeof RowQuery>["order"]): AnsweredRow[] {
  if (order === "file") return rows;
  const sign = order === "highest_score" || order === "largest_error" ? -1 : 1;
  const value = order.endsWith("score")
    ? ({ score }: AnsweredRow) => score ?? 0
    : ({ error }: AnsweredRow) => Math.abs(error ?? 0);
  return rows.sort((a, b) => sign * (value(a) - value(b)));
}

function haveSameTexts(rows: readonly EvaluationRow[], others: readonly EvaluationRow[]): boolean {
  return rows.length === others.length &&
    rows.every(({ text, label }, i) => others[i]!.text === text && others[i]!.label === label);
}
