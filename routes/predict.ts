/**
 * `POST /v1/predict`: classifies texts.
 *
 * @module
 */
import { Hono } from "hono";
import { z } from "zod";
import type { ModelRegistry } from "../serving/model_registry.ts";
import { readBody } from "./errors.ts";
import { loadedModel } from "./loaded_model.ts";

const MAX_INPUTS = 1024;
const MAX_TEXT_LENGTH = 100_000;

const PredictRequest = z.strictObject({
  model: z.string().optional(),
  inputs: z.array(
    z.string().max(MAX_TEXT_LENGTH).refine((text) => text.trim() !== "", "must not be empty"),
  ).min(1).max(MAX_INPUTS),
  top_k: z.number().int().min(1).optional(),
});

/** The route, over these models. */
export function predictRoutes(models: ModelRegistry): Hono {
  return new Hono().post("/", async (context) => {
    const { model, inputs, top_k } = await readBody(context, PredictRequest);
    const { name, classifier } = await loadedModel(models, model);
    const predictions = await classifier.classify(inputs);
    return context.json({
      model: name,
      predictions: predictions.map((scores) => scores.slice(0, top_k)),
    });
  });
}
