/**
 * `/v1/evaluations`: models measured on data sets.
 *
 * @module
 */
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { join } from "node:path";
import { z } from "zod";
import { datasetDir, DATASETS, evaluationFile } from "../data/dataset.ts";
import { writeJson } from "../data/files.ts";
import type { LoadedModel, ModelRegistry } from "../serving/model_registry.ts";
import { evaluateFile } from "../training/evaluate_file.ts";
import { trainingTextsOf } from "../training/run_folder.ts";
import { type Evaluation, MAX_ERROR_LENGTH, type RunStore } from "../training/run_store.ts";
import { readBody } from "./errors.ts";
import { loadedModel } from "./loaded_model.ts";

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

  const run = async (evaluation: Evaluation, { classifier, dir }: LoadedModel, file: string) => {
    const finish = (change: Partial<Evaluation>) =>
      store.putEvaluation({ ...evaluation, ...change, finished_at: new Date().toISOString() });
    try {
      const { report } = await evaluateFile(classifier, file, await trainingTextsOf(dir));
      await Deno.mkdir(reportsDir, { recursive: true });
      await writeJson(reportFile(evaluation.id), report);
      await finish({ state: "succeeded" });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      await finish({ state: "failed", error: message.slice(0, MAX_ERROR_LENGTH) });
    }
  };

  return new Hono()
    .post("/", async (context) => {
      const { model: name, dataset } = await readBody(context, EvaluationRequest);
      const model = await loadedModel(models, name);
      const id = crypto.randomUUID();
      const evaluation: Evaluation = {
        id,
        state: "running",
        model: model.name,
        dataset,
        created_at: new Date().toISOString(),
      };
      await store.putEvaluation(evaluation);
      // The last write fails when the server stops; it is made good at the next start.
      run(evaluation, model, await evaluationFile(datasetDir(dataset))).catch(console.error);
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
