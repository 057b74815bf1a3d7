/**
 * `/v1/evaluations`: evaluations of models on data sets, each in a subprocess.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { stringify } from "csv-stringify/sync";
import { basename } from "node:path";
import { z } from "zod";
import type { DatasetLibrary } from "../data/dataset_library.ts";
import { evaluationFile } from "../data/dataset.ts";
import type { EvaluateJob } from "../orchestration/job.ts";
import type { Evaluation, RunStore } from "../orchestration/run_store.ts";
import type { Supervisor } from "../orchestration/supervisor.ts";
import { type ModelVersion, UnknownModelError } from "../serving/model_reference.ts";
import type { ModelRegistry } from "../serving/model_registry.ts";
import { describeModel } from "../serving/predictor.ts";
import { aboutToStop, invalidField } from "./errors.ts";
import { EvaluationResults } from "./evaluation_results.ts";
import {
  ComparisonQuery,
  EvaluationAnswer,
  EvaluationComparison,
  EvaluationRequest,
  Page,
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
  summary: "One evaluation, with its report when it has finished",
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
      z.object({ rows: z.array(Row), total: z.int().describe("Matching rows") })
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
  request: { params, query: ComparisonQuery },
  responses: {
    200: jsonContent(EvaluationComparison, "The comparison"),
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
  const { store, supervisor } = options;
  const results = new EvaluationResults(store, supervisor);
  return createRouter()
    .openapi(create, async (context) => {
      if (supervisor.closed) throw aboutToStop();
      using _place = supervisor.reserve();
      const evaluation = await newEvaluation(context.req.valid("json"), options);
      await store.createEvaluation(evaluation);
      await supervisor.evaluate(evaluation);
      context.header("Location", `/v1/evaluations/${evaluation.id}`);
      return context.json(results.answer(evaluation), 202);
    })
    .openapi(list, async (context) => {
      const { items, next } = await results.page(context.req.valid("query"));
      return context.json({ evaluations: items, next }, 200);
    })
    .openapi(show, async (context) => {
      return context.json(await results.whole(context.req.valid("param").id), 200);
    })
    .openapi(listRows, async (context) => {
      const { limit, offset, ...query } = context.req.valid("query");
      const rows = await results.rows(context.req.valid("param").id, query);
      return context.json({ rows: rows.slice(offset, offset + limit), total: rows.length }, 200);
    })
    .openapi(exportRows, async (context) => {
      const { id } = context.req.valid("param");
      const rows = await results.rows(id, context.req.valid("query"));
      context.header("Content-Type", "text/csv; charset=utf-8");
      context.header("Content-Disposition", `attachment; filename="evaluation-${id}.csv"`);
      const columns = ["text", "label", "predicted", "score", "error", "seen", "right"];
      const cast = { boolean: (value: boolean) => String(value) };
      return context.body(stringify(rows, { header: true, columns, cast }), 200);
    })
    .openapi(compare, async (context) => {
      const { id } = context.req.valid("param");
      return context.json(await results.comparison(id, context.req.valid("query")), 200);
    });
}

/**
 * Makes an evaluation that is to be queued.
 *
 * @throws {HTTPException} 422 if there is no such model or data set.
 * @throws {InferenceError} If the model is damaged.
 */
async function newEvaluation(
  { model, dataset }: z.infer<typeof EvaluationRequest>,
  { store, models, datasets, prediction }: EvaluationRoutesOptions,
): Promise<Evaluation> {
  const version = await versionOf(models, model);
  await describeModel(version);
  if (!await datasets.has(dataset)) {
    throw invalidField("dataset", `there is no data set '${dataset}'`);
  }
  const trainedOn = (await store.get(basename(version.dir)))?.dataset;
  return {
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
}

async function versionOf(models: ModelRegistry, name: string | undefined): Promise<ModelVersion> {
  try {
    return await models.resolve(name);
  } catch (error) {
    if (error instanceof UnknownModelError) throw invalidField("model", error.message);
    throw error;
  }
}
