/**
 * `POST /v1/predict`: classifies texts, each of which may name a model of its own.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import { SCORE_FUNCTIONS } from "../serving/predictor.ts";
import {
  LabelScore,
  PredictHeaders,
  predictions,
  type PredictRoutesOptions,
  Text,
  TopK,
} from "./prediction_requests.ts";
import { createRouter, declareRoute, errorAnswers, jsonBody, jsonContent } from "./router.ts";

const ModelReference = z.string().min(1)
  .describe("A model's name, name@version or name:alias; by default the default model");

const Input = z.strictObject({
  text: Text,
  text_pair: Text.optional(),
  model: ModelReference.optional(),
}).meta({ id: "PredictInput" });

const Request = z.strictObject({
  model: ModelReference.optional(),
  inputs: z.array(
    z.union([Text, Input], {
      error: "must be a text that is not empty, or {text, text_pair?, model?}",
    }),
  ).min(1).describe("Texts, or texts with a second text or a model of their own"),
  top_k: TopK.optional(),
  abstain_below: z.number().optional()
    .describe("The answer to a text whose highest score is below this is null"),
  function_to_apply: z.enum(SCORE_FUNCTIONS).optional()
    .describe("The function that makes scores of logits; by default the one that suits the model"),
  truncate: z.boolean().default(false).describe("Whether a text that is too long loses its end"),
}).meta({ id: "PredictRequest" });

const Answer = z.object({
  model: z.string().nullable()
    .describe("The model that answered, as name@version; null if there were several"),
  predictions: z.array(z.array(LabelScore).nullable()),
  models: z.array(z.string()).describe("The model of each text, as name@version"),
}).meta({ id: "PredictAnswer" });

const route = declareRoute({
  method: "post",
  path: "/v1/predict",
  operationId: "predict",
  scope: "predict",
  predicts: true,
  tags: ["predict"],
  summary: "Classify texts with one model or several",
  request: { headers: PredictHeaders, body: jsonBody(Request) },
  responses: {
    200: jsonContent(Answer, "The classes of each text, the most probable first"),
    ...errorAnswers(413, 422, 424, 429, 503),
  },
});

/** The route. */
export function predictRoutes(options: PredictRoutesOptions): OpenAPIHono {
  return createRouter().openapi(route, async (context) => {
    const { model, inputs, top_k, abstain_below = -Infinity, function_to_apply, truncate } = context
      .req.valid("json");
    const { rows } = await predictions(context, options, {
      inputs: inputs.map((input) =>
        typeof input === "string"
          ? { text: input, model }
          : { text: input.text, pair: input.text_pair, model: input.model ?? model }
      ),
      scoreFunction: function_to_apply,
      truncate,
      modelField: (index) => {
        const input = inputs[index]!;
        const ownModel = typeof input === "string" ? undefined : input.model;
        return ownModel === undefined ? "model" : `inputs.${index}.model`;
      },
    });
    const models = rows.map(({ model: { name, version } }) => `${name}@${version}`);
    return context.json({
      model: new Set(models).size === 1 ? models[0]! : null,
      predictions: rows.map(({ scores }) =>
        scores[0]!.score < abstain_below ? null : scores.slice(0, top_k)
      ),
      models,
    }, 200);
  });
}
