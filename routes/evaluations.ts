/**
 * `/v1/evaluations`: models measured on data sets.
 *
 * @module
 */
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { join } from "node:path";
import { z } from "zod";
import { SPLIT_FILES } from "../data/dataset.ts";
import { datasetDir, DATASETS } from "../data/datasets.ts";
import { writeJson } from "../data/files.ts";
import type { TextClassifier } from "../models/text_classifier.ts";
import { type ModelRegistry, UnknownModelError } from "../serving/model_registry.ts";
import { evaluateFile } from "../training/evaluate_file.ts";
import type { Evaluation, RunStore } from "../training/run_store.ts";
import { invalidField, readBody } from "./errors.ts";

const EvaluationRequest = z.strictObject({
  model: z.string().optional(),
  dataset: z.enum(DATASETS),
});

/** What the routes need. */
export interface EvaluationRoutesOptions {
  store: RunStore;
  models: ModelRegistry;
  /** Where the reports are written: a value of Deno KV would be too small for many classes. */
  reportsDir: string;
}

/** The routes. */
export function evaluationRoutes(options: EvaluationRoutesOptions): Hono {
  const { store, models, reportsDir } = options;
  const reportFile = (id: string) => join(reportsDir, `${id}.json`);

  const run = async (evaluation: Evaluation, classifier: TextClassifier, file: string) => {
    const finish = (change: Partial<Evaluation>) =>
      store.putEvaluation({ ...evaluation, ...change, finished_at: new Date().toISOString() });
    try {
      const { report } = await evaluateFile(classifier, file);
      await Deno.mkdir(reportsDir, { recursive: true });
      await writeJson(reportFile(evaluation.id), report);
      await finish({ state: "succeeded" });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      await finish({ state: "failed", error: message });
    }
  };

  return new Hono()
    .post("/", async (context) => {
      const { model, dataset } = await readBody(context, EvaluationRequest);
      const { name, classifier } = await models.get(model).catch((error) => {
        if (error instanceof UnknownModelError) throw invalidField("model", error.message);
        throw error;
      });
      const id = crypto.randomUUID();
      const evaluation: Evaluation = {
        id,
        state: "running",
        model: name,
        dataset,
        created_at: new Date().toISOString(),
      };
      await store.putEvaluation(evaluation);
      void run(evaluation, classifier, join(datasetDir(dataset), SPLIT_FILES.test));
      context.header("Location", `/v1/evaluations/${id}`);
      return context.json(evaluation, 202);
    })
    .get("/:id", async (context) => {
      const id = context.req.param("id");
      const evaluation = await store.getEvaluation(id);
      if (evaluation === undefined) {
        throw new HTTPException(404, { message: `There is no evaluation '${id}'` });
      }
      if (evaluation.state !== "succeeded") return context.json(evaluation);
      const report = JSON.parse(await Deno.readTextFile(reportFile(evaluation.id)));
      return context.json({ ...evaluation, report });
    });
}
