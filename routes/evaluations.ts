/**
 * `/v1/evaluations`: models measured on data sets.
 *
 * @module
 */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import { join } from "node:path";
import { z } from "zod";
import { datasetDir, DATASETS, evaluationFile } from "../data/dataset.ts";
import { writeJson } from "../data/files.ts";
import type { BorrowedModel, ModelCache } from "../serving/model_cache.ts";
import {
  type ModelRegistry,
  type ModelVersion,
  UnknownModelError,
} from "../serving/model_registry.ts";
import { borrowModel } from "../serving/predictor.ts";
import { evaluateFile } from "../training/evaluate_file.ts";
import { trainingTextsOf } from "../training/run_folder.ts";
import { type Evaluation, MAX_ERROR_LENGTH, type RunStore } from "../training/run_store.ts";
import { invalidField } from "./errors.ts";
import { createRouter, errorAnswers, jsonBody, jsonContent } from "./router.ts";

const EvaluationRequest = z.strictObject({
  model: z.string().optional(),
  dataset: z.enum(DATASETS),
}).meta({ id: "EvaluationRequest" });

/** The type says all of it; the schema describes what a client relies on. */
const EvaluationAnswer = z.looseObject({
  id: z.string(),
  state: z.string(),
  model: z.string(),
  dataset: z.string(),
  created_at: z.string(),
}).meta({ id: "Evaluation" }) as unknown as z.ZodType<Evaluation & { report?: object }>;

const create = createRoute({
  method: "post",
  path: "/v1/evaluations",
  tags: ["evaluations"],
  summary: "Measure a model on a data set",
  request: { body: jsonBody(EvaluationRequest) },
  responses: {
    202: jsonContent(EvaluationAnswer, "The evaluation runs"),
    ...errorAnswers(422, 424, 503),
  },
});

const show = createRoute({
  method: "get",
  path: "/v1/evaluations/{id}",
  tags: ["evaluations"],
  summary: "One evaluation, with its report when it is over",
  request: { params: z.object({ id: z.string() }) },
  responses: { 200: jsonContent(EvaluationAnswer, "The evaluation"), ...errorAnswers(404) },
});

/** What the routes need. */
export interface EvaluationRoutesOptions {
  store: RunStore;
  models: ModelRegistry;
  cache: ModelCache;
  /** Where the reports are written: a value of Deno KV would be too small for many classes. */
  reportsDir: string;
}

/** The routes. */
export function evaluationRoutes(options: EvaluationRoutesOptions): OpenAPIHono {
  const { store, models, cache, reportsDir } = options;
  const reportFile = (id: string) => join(reportsDir, `${id}.json`);

  const resolve = async (name: string | undefined): Promise<ModelVersion> => {
    try {
      return await models.resolve(name);
    } catch (error) {
      if (error instanceof UnknownModelError) throw invalidField("model", error.message);
      throw error;
    }
  };

  const run = async (
    evaluation: Evaluation,
    model: BorrowedModel,
    { dir }: ModelVersion,
    file: string,
  ) => {
    using borrowed = model;
    const finish = (change: Partial<Evaluation>) =>
      store.putEvaluation({ ...evaluation, ...change, finished_at: new Date().toISOString() });
    try {
      const { report } = await evaluateFile(borrowed.model, file, await trainingTextsOf(dir));
      await Deno.mkdir(reportsDir, { recursive: true });
      await writeJson(reportFile(evaluation.id), report);
      await finish({ state: "succeeded" });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      await finish({ state: "failed", error: message.slice(0, MAX_ERROR_LENGTH) });
    }
  };

  return createRouter()
    .openapi(create, async (context) => {
      const { model: name, dataset } = context.req.valid("json");
      const version = await resolve(name);
      const file = await evaluationFile(datasetDir(dataset));
      const evaluation: Evaluation = {
        id: crypto.randomUUID(),
        state: "running",
        model: `${version.name}@${version.version}`,
        dataset,
        created_at: new Date().toISOString(),
      };
      const model = await borrowModel(cache, version);
      await store.putEvaluation(evaluation);
      // The last write fails when the server stops; it is made good at the next start.
      run(evaluation, model, version, file).catch(console.error);
      context.header("Location", `/v1/evaluations/${evaluation.id}`);
      return context.json(evaluation, 202);
    })
    .openapi(show, async (context) => {
      const { id } = context.req.valid("param");
      const evaluation = await store.getEvaluation(id);
      if (evaluation === undefined) {
        throw new HTTPException(404, { message: `There is no evaluation '${id}'` });
      }
      if (evaluation.state !== "succeeded") return context.json(evaluation, 200);
      const report = JSON.parse(await Deno.readTextFile(reportFile(evaluation.id)));
      return context.json({ ...evaluation, report }, 200);
    });
}
