/**
 * `POST /` and `POST /models/{model}` in the shape of Hugging Face's text-classification task.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
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

const Parameters = z.object({
  top_k: TopK.nullish(),
  function_to_apply: z.enum(SCORE_FUNCTIONS).nullish(),
  truncation: z.boolean().default(false)
    .describe("Whether a text that is too long loses its end"),
}).meta({ id: "HuggingFaceParameters" });

const Request = z.object({
  inputs: z.union([Text, z.array(Text).min(1)], {
    error: "must be a text that is not empty, or a list of such",
  }),
  parameters: Parameters.prefault({}),
}).meta({ id: "HuggingFaceRequest" });

const shared = {
  method: "post" as const,
  scope: "predict" as const,
  predicts: true as const,
  tags: ["predict"],
  responses: {
    200: jsonContent(z.array(z.array(LabelScore)), "The classes of each text"),
    ...errorAnswers(404, 413, 422, 424, 429, 503),
  },
};

const defaultRoute = declareRoute({
  ...shared,
  path: "/",
  operationId: "classifyWithDefaultModel",
  summary: "Classify texts with the default model, as Hugging Face's inference API does",
  request: { headers: PredictHeaders, body: jsonBody(Request) },
});

const modelRoute = declareRoute({
  ...shared,
  path: "/models/{model}",
  operationId: "classifyWithModel",
  summary: "Classify texts with a model, as Hugging Face's inference API does",
  request: {
    headers: PredictHeaders,
    body: jsonBody(Request),
    params: z.object({ model: z.string() }),
  },
});

/** The routes. */
export function huggingFaceRoutes(options: PredictRoutesOptions): OpenAPIHono {
  const answer = async (context: Context, body: z.infer<typeof Request>, model?: string) => {
    const { inputs, parameters: { top_k, function_to_apply, truncation } } = body;
    const { rows } = await predictions(context, options, {
      inputs: [inputs].flat().map((text) => ({ text, model })),
      textField: (index) => typeof inputs === "string" ? "inputs" : `inputs.${index}`,
      truncate: truncation,
      scoreFunction: function_to_apply ?? undefined,
    });
    return rows.map(({ scores }) => scores.slice(0, top_k ?? undefined));
  };
  return createRouter()
    .openapi(
      defaultRoute,
      async (context) => context.json(await answer(context, context.req.valid("json")), 200),
    )
    .openapi(modelRoute, async (context) => {
      const { model } = context.req.valid("param");
      return context.json(await answer(context, context.req.valid("json"), model), 200);
    });
}
