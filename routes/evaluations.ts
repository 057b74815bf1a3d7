/**
 * `/v1/evaluations`: models measured on data sets, each in a subprocess.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import { z } from "zod";
import type { DatasetLibrary } from "../data/dataset_library.ts";
import { evaluationFile } from "../data/dataset.ts";
import {
  type ModelRegistry,
  type ModelVersion,
  UnknownModelError,
} from "../serving/model_registry.ts";
import { describeModel } from "../serving/predictor.ts";
import type { EvaluateJob } from "../orchestration/job.ts";
import type { Evaluation, RunStore } from "../orchestration/run_store.ts";
import type { Supervisor } from "../orchestration/supervisor.ts";
import { aboutToStop, invalidField, retryLater } from "./errors.ts";
import { createRouter, declareRoute, errorAnswers, jsonBody, jsonContent } from "./router.ts";

/** So many evaluations may wait. */
const MAX_QUEUED = 100;

const EvaluationRequest = z.strictObject({
  model: z.string().optional(),
  dataset: z.string(),
}).meta({ id: "EvaluationRequest" });

/** The type says all of it; the schema describes what a client relies on. */
const EvaluationAnswer = z.looseObject({
  id: z.string(),
  state: z.string(),
  model: z.string(),
  dataset: z.string(),
  created_at: z.string(),
}).meta({ id: "Evaluation" });

const create = declareRoute({
  method: "post",
  path: "/v1/evaluations",
  operationId: "createEvaluation",
  scope: "manage",
  tags: ["evaluations"],
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
  tags: ["evaluations"],
  summary: "All evaluations, the newest first, with their main figures",
  request: { query: z.object({ model: z.string().optional(), dataset: z.string().optional() }) },
  responses: {
    200: jsonContent(z.object({ evaluations: z.array(EvaluationAnswer) }), "The evaluations"),
  },
});

const show = declareRoute({
  method: "get",
  path: "/v1/evaluations/{id}",
  operationId: "getEvaluation",
  scope: "manage",
  tags: ["evaluations"],
  summary: "One evaluation, with its report when it is over",
  request: { params: z.object({ id: z.string() }) },
  responses: { 200: jsonContent(EvaluationAnswer, "The evaluation"), ...errorAnswers(404) },
});

/** What the routes need. */
export interface EvaluationRoutesOptions {
  store: RunStore;
  supervisor: Supervisor;
  models: ModelRegistry;
  datasets: DatasetLibrary;
  /** How the server predicts, and so evaluates. */
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
  const answer = ({ job: _job, ...evaluation }: Evaluation): z.infer<typeof EvaluationAnswer> =>
    evaluation;
  const reportOf = async ({ id, state }: Evaluation): Promise<Record<string, unknown>> =>
    state === "succeeded" ? JSON.parse(await Deno.readTextFile(supervisor.reportFile(id))) : {};

  return createRouter()
    .openapi(create, async (context) => {
      if (supervisor.closed) throw aboutToStop();
      if (supervisor.queueLength >= MAX_QUEUED) {
        throw retryLater(429, `${MAX_QUEUED} evaluations wait already, and no more may`, 60);
      }
      const { model: name, dataset } = context.req.valid("json");
      const version = await resolve(name);
      await describeModel(version);
      if (!await datasets.has(dataset)) {
        throw invalidField("dataset", `there is no data set '${dataset}'`);
      }
      const evaluation: Evaluation = {
        id: crypto.randomUUID(),
        state: "queued",
        model: `${version.name}@${version.version}`,
        dataset,
        created_at: new Date().toISOString(),
        job: {
          type: "evaluate",
          modelDir: version.dir,
          file: await evaluationFile(datasets.dirOf(dataset)),
          ...prediction,
        },
      };
      await store.putEvaluation(evaluation);
      supervisor.evaluate(evaluation);
      context.header("Location", `/v1/evaluations/${evaluation.id}`);
      return context.json(answer(evaluation), 202);
    })
    .openapi(list, async (context) => {
      const wanted = Object.entries(context.req.valid("query"));
      const found = (await store.listEvaluations()).filter((evaluation) =>
        wanted.every(([key, value]) =>
          value === undefined || evaluation[key as "model" | "dataset"] === value
        )
      );
      const evaluations = await Promise.all(found.map(async (evaluation) => {
        const figures = Object.entries(await reportOf(evaluation))
          .filter(([, value]) => typeof value === "number");
        return { ...answer(evaluation), ...Object.fromEntries(figures) };
      }));
      return context.json({ evaluations }, 200);
    })
    .openapi(show, async (context) => {
      const { id } = context.req.valid("param");
      const evaluation = await store.getEvaluation(id);
      if (evaluation === undefined) {
        throw new HTTPException(404, { message: `There is no evaluation '${id}'` });
      }
      if (evaluation.state !== "succeeded") return context.json(answer(evaluation), 200);
      return context.json({ ...answer(evaluation), report: await reportOf(evaluation) }, 200);
    });
}
