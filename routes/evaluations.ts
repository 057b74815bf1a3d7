/**
 * `/v1/evaluations`: evaluations of models on data sets, each in a subprocess.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { stringify } from "csv-stringify/sync";
import { HTTPException } from "hono/http-exception";
import { basename } from "node:path";
import { z } from "zod";
import type { DatasetLibrary } from "../data/dataset_library.ts";
import { evaluationFile } from "../data/dataset.ts";
import type { Problem } from "../data/labels.ts";
import { type ModelVersion, UnknownModelError } from "../serving/model_reference.ts";
import type { ModelRegistry } from "../serving/model_registry.ts";
import { describeModel } from "../serving/predictor.ts";
import {
  type EvaluationRow,
  EvaluationRows,
  matchingRows,
} from "../orchestration/evaluation_rows.ts";
import type { EvaluateJob } from "../orchestration/job.ts";
import type { Evaluation, EvaluationSummary, RunStore } from "../orchestration/run_store.ts";
import type { Supervisor } from "../orchestration/supervisor.ts";
import { calibrationOf } from "../training/calibration_error.ts";
import { contingencyOf, mcnemarP } from "../training/mcnemar.ts";
import { residualsOf } from "../training/residuals.ts";
import { aboutToStop, invalidField } from "./errors.ts";
import {
  EvaluationAnswer,
  EvaluationRequest,
  Page,
  type Report,
  Row,
  RowQuery,
  WholeEvaluation,
} from "./evaluation_schemas.ts";
import { createRouter, declareRoute, errorAnswers, jsonBody, jsonContent } from "./router.ts";

const MAX_PAGE = 200;

const tags = ["evaluations"];
const params = z.object({ id: z.string() });

const create = declareRoute({
  method: "post",
  path: "/v1/evaluations",
  operationId: "createEvaluation",
  scope: "manage",
  tags,
  summary: "Measure a model on a data set, with the device and weights of the server",
  request: { body: jsonBody(EvaluationRequest) },
  responses: {
    202: jsonContent(EvaluationAnswer, "The evaluation is queued"),
    ...errorAnswers(422, 424, 429, 503),
  },
});

const list = declareRoute({
  method: "get",
  path: "/v1/evaluations",
  operationId: "listEvaluations",
  scope: "manage",
  tags,
  summary: "Evaluations, the newest first, with their main figures",
  request: {
    query: z.object({
      model: z.string().optional().describe("As name@version, or all versions of a name"),
      dataset: z.string().optional(),
      limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(MAX_PAGE),
      after: z.string().optional().describe("The last evaluation of the page before"),
    }),
  },
  responses: {
    200: jsonContent(
      z.object({
        evaluations: z.array(EvaluationAnswer),
        next: z.string().nullable().describe("The 'after' of the next page; null at the end"),
      }).meta({ id: "EvaluationList" }),
      "A page of evaluations",
    ),
    ...errorAnswers(404, 422),
  },
});

const show = declareRoute({
  method: "get",
  path: "/v1/evaluations/{id}",
  operationId: "getEvaluation",
  scope: "manage",
  tags,
  summary: "One evaluation, with its report when it is over",
  request: { params },
  responses: { 200: jsonContent(WholeEvaluation, "The evaluation"), ...errorAnswers(404) },
});

const listRows = declareRoute({
  method: "get",
  path: "/v1/evaluations/{id}/rows",
  operationId: "listEvaluationRows",
  scope: "manage",
  tags,
  summary: "The texts of an evaluation with gold labels and predictions",
  request: { params, query: RowQuery.extend(Page) },
  responses: {
    200: jsonContent(
      z.object({ rows: z.array(Row), total: z.int().describe("Rows that are like that") })
        .meta({ id: "EvaluationRows" }),
      "A page of rows",
    ),
    ...errorAnswers(404, 409, 422),
  },
});

const exportRows = declareRoute({
  method: "get",
  path: "/v1/evaluations/{id}/rows.csv",
  operationId: "exportEvaluationRows",
  scope: "manage",
  tags,
  summary: "The same as a CSV file",
  request: { params, query: RowQuery },
  responses: {
    200: { description: "The file", content: { "text/csv": { schema: z.string() } } },
    ...errorAnswers(404, 409, 422),
  },
});

const compare = declareRoute({
  method: "get",
  path: "/v1/evaluations/{id}/comparison",
  operationId: "compareEvaluations",
  scope: "manage",
  tags,
  summary: "Which texts one of two models gets right and the other wrong, with McNemar's test",
  request: {
    params,
    query: z.object({
      with: z.string().describe("Another evaluation on the same texts"),
      outcome: z.enum(["first_only", "second_only"]).default("second_only")
        .describe("Whose texts are listed: those that this one alone gets right, or the other"),
      ...Page,
    }),
  },
  responses: {
    200: jsonContent(
      z.object({
        both: z.int(),
        first_only: z.int(),
        second_only: z.int(),
        neither: z.int(),
        p: z.number().describe(
          "Of McNemar's exact test: how probable it is that two equal " +
            "models differ so much",
        ),
        rows: z.array(
          Row.extend({ other: z.string().describe("What the other predicted") })
            .meta({ id: "ComparedRow" }),
        ),
      }).meta({ id: "EvaluationComparison" }),
      "The comparison",
    ),
    ...errorAnswers(404, 409, 422),
  },
});

/** Options of {@link evaluationRoutes}. */
export interface EvaluationRoutesOptions {
  store: RunStore;
  supervisor: Supervisor;
  models: ModelRegistry;
  datasets: DatasetLibrary;
  /** The device and weights that the server predicts with, and so evaluates with. */
  prediction: Pick<EvaluateJob, "device" | "dtype">;
}

/** The routes. */
export function evaluationRoutes(options: EvaluationRoutesOptions): OpenAPIHono {
  const { store, supervisor, models, datasets, prediction } = options;

  const resolve = async (name: string | undefined): Promise<ModelVersion> => {
    try {
      return await models.resolve(name);
    } catch (error) {
      if (error instanceof UnknownModelError) throw invalidField("model", error.message);
      throw error;
    }
  };
  const answer = (
    { job, attempt: _, artifact: __, ...evaluation }: Evaluation,
  ): z.infer<typeof EvaluationAnswer> => ({
    ...evaluation,
    split: basename(job.file).startsWith("test") ? "test" : "validation",
  });
  const reportOf = async (evaluation: Evaluation): Promise<z.infer<typeof Report>> => {
    await supervisor.bringReport(evaluation);
    return JSON.parse(await Deno.readTextFile(supervisor.reportFile(evaluation.id)));
  };
  const find = async (id: string): Promise<Evaluation> => {
    const evaluation = await store.getEvaluation(id);
    if (evaluation !== undefined) return evaluation;
    throw new HTTPException(404, { message: `There is no evaluation '${id}'` });
  };
  const evaluationRows = new EvaluationRows();
  const rowsOf = async (id: string): Promise<{ rows: EvaluationRow[]; problem: Problem }> => {
    const evaluation = await find(id);
    if (evaluation.state === "succeeded") {
      const { problem_type: problemType, per_class = [] } = await reportOf(evaluation);
      const rows = await evaluationRows.read(supervisor.rowsFile(id), problemType);
      const labels = per_class.map(({ label }) => label);
      if (rows !== undefined) return { rows, problem: { problemType, labels } };
    }
    const reason = evaluation.state === "succeeded"
      ? "an older server has made it, which kept none"
      : `it is ${evaluation.state}`;
    throw new HTTPException(409, { message: `Evaluation '${id}' has no predictions: ${reason}` });
  };
  const wantedRows = async (id: string, { order, ...filter }: z.infer<typeof RowQuery>) => {
    const { rows, problem } = await rowsOf(id);
    const wanted = matchingRows(rows, filter, problem).map(({ scores: _, ...row }) => row);
    if (order === "file") return wanted;
    const sign = order === "highest_score" || order === "largest_error" ? -1 : 1;
    const value = order.endsWith("score")
      ? ({ score }: EvaluationRow) => score ?? 0
      : ({ error }: EvaluationRow) => Math.abs(error ?? 0);
    return wanted.sort((a, b) => sign * (value(a) - value(b)));
  };

  return createRouter()
    .openapi(create, async (context) => {
      if (supervisor.closed) throw aboutToStop();
      using _place = supervisor.reserve();
      const { model: name, dataset } = context.req.valid("json");
      const version = await resolve(name);
      await describeModel(version);
      if (!await datasets.has(dataset)) {
        throw invalidField("dataset", `there is no data set '${dataset}'`);
      }
      const trainedOn = (await store.get(basename(version.dir)))?.dataset;
      const evaluation: Evaluation = {
        id: crypto.randomUUID(),
        state: "queued",
        model: `${version.name}@${version.version}`,
        dataset,
        created_at: new Date().toISOString(),
        job: {
          type: "evaluate",
          modelDir: version.dir,
          ...trainedOn !== undefined && { dataDir: datasets.dirOf(trainedOn) },
          file: await evaluationFile(datasets.dirOf(dataset)),
          ...prediction,
        },
      };
      await store.createEvaluation(evaluation);
      await supervisor.evaluate(evaluation);
      context.header("Location", `/v1/evaluations/${evaluation.id}`);
      return context.json(answer(evaluation), 202);
    })
    .openapi(list, async (context) => {
      const { model, dataset, limit, after } = context.req.valid("query");
      const begin = after === undefined ? undefined : await find(after);
      const isWanted = (summary: EvaluationSummary) =>
        (model === undefined || summary.model === model ||
          summary.model.replace(/@\d+$/, "") === model) &&
        (dataset === undefined || summary.dataset === dataset);
      const page: Evaluation[] = [];
      let next: string | null = null;
      for await (const evaluation of store.newestEvaluations(begin, isWanted)) {
        if (page.length === limit) {
          next = page.at(-1)!.id;
          break;
        }
        page.push(evaluation);
      }
      const evaluations = await Promise.all(page.map(async (evaluation) => {
        if (evaluation.state !== "succeeded") return answer(evaluation);
        const report = await reportOf(evaluation);
        const figures = Object.entries(report)
          .filter(([key, value]) => key === "problem_type" || typeof value === "number");
        return { ...answer(evaluation), ...Object.fromEntries(figures) };
      }));
      return context.json({ evaluations, next }, 200);
    })
    .openapi(show, async (context) => {
      const evaluation = await find(context.req.valid("param").id);
      if (evaluation.state !== "succeeded") return context.json(answer(evaluation), 200);
      const report = await reportOf(evaluation);
      const { id } = evaluation;
      const { problem_type } = report;
      const rows = problem_type === "multi_label_classification"
        ? undefined
        : await evaluationRows.read(supervisor.rowsFile(id), problem_type);
      if (rows === undefined) return context.json({ ...answer(evaluation), report }, 200);
      const drawn = problem_type === "regression"
        ? {
          residuals: residualsOf(rows.map(({ label, predicted }) => ({
            label: Number(label),
            predicted: Number(predicted),
          }))),
        }
        : {
          calibration: calibrationOf(
            rows.map(({ score, right }) => ({ score: score ?? 0, isRight: right })),
          ),
        };
      return context.json({ ...answer(evaluation), report, ...drawn }, 200);
    })
    .openapi(listRows, async (context) => {
      const { limit, offset, ...query } = context.req.valid("query");
      const rows = await wantedRows(context.req.valid("param").id, query);
      return context.json({ rows: rows.slice(offset, offset + limit), total: rows.length }, 200);
    })
    .openapi(exportRows, async (context) => {
      const { id } = context.req.valid("param");
      const rows = await wantedRows(id, context.req.valid("query"));
      context.header("Content-Type", "text/csv; charset=utf-8");
      context.header("Content-Disposition", `attachment; filename="evaluation-${id}.csv"`);
      const columns = ["text", "label", "predicted", "score", "error", "seen", "right"];
      const cast = { boolean: (value: boolean) => String(value) };
      return context.body(stringify(rows, { header: true, columns, cast }), 200);
    })
    .openapi(compare, async (context) => {
      const { with: otherId, outcome, limit, offset } = context.req.valid("query");
      const { rows, problem } = await rowsOf(context.req.valid("param").id);
      const { rows: others } = await rowsOf(otherId);
      if (problem.problemType === "regression") {
        throw new HTTPException(409, {
          message: "Numbers are neither right nor wrong, so that this test does not apply to them",
        });
      }
      const areSame = rows.length === others.length &&
        rows.every(({ text, label }, i) => others[i]!.text === text && others[i]!.label === label);
      if (!areSame) throw invalidField("with", "must be an evaluation on the same texts");
      const table = contingencyOf(
        rows.map(({ right }) => right),
        others.map(({ right }) => right),
      );
      const listed = rows
        .map(({ scores: _, ...row }, i) => ({ ...row, other: others[i]!.predicted }))
        .filter(({ index, right }) =>
          right !== others[index]!.right && right === (outcome === "first_only")
        );
      return context.json({
        ...table,
        p: mcnemarP(table),
        rows: listed.slice(offset, offset + limit),
      }, 200);
    });
}
