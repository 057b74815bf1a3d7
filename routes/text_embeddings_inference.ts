/**
 * `POST /predict` in the shape of Hugging Face's text-embeddings-inference.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import {
  LabelScore,
  PredictHeaders,
  predictions,
  type PredictRoutesOptions,
  Text,
} from "./prediction_requests.ts";
import { createRouter, declareRoute, errorAnswers, jsonBody, jsonContent } from "./router.ts";

/** A text, or a text and its pair. */
const Sequence = z.array(Text).min(1).max(2);

const Request = z.object({
  inputs: z.union([Text, Sequence, z.array(Sequence).min(1)], {
    error: "must be a text that is not empty, a pair of texts, or a list of lists of one or two",
  }).describe('"text", ["text", "second text"], or [["text"], ["text", "second text"], …]'),
  truncate: z.boolean().default(false).describe("Whether a text that is too long loses its end"),
  raw_scores: z.boolean().default(false).describe("Whether to give logits in place of scores"),
}).meta({ id: "TextEmbeddingsInferenceRequest" });

const route = declareRoute({
  method: "post",
  path: "/predict",
  operationId: "predictAsTextEmbeddingsInference",
  scope: "predict",
  predicts: true,
  tags: ["predict"],
  summary: "Classify texts, as text-embeddings-inference does",
  request: { headers: PredictHeaders, body: jsonBody(Request) },
  responses: {
    200: jsonContent(
      z.union([z.array(LabelScore), z.array(z.array(LabelScore))]),
      "The classes of the text, or of each text of a list",
    ),
    ...errorAnswers(404, 413, 422, 424, 429, 503),
  },
});

/** The route. */
export function textEmbeddingsInferenceRoutes(options: PredictRoutesOptions): OpenAPIHono {
  return createRouter().openapi(route, async (context) => {
    const { inputs, truncate, raw_scores } = context.req.valid("json");
    const single = typeof inputs === "string" || typeof inputs[0] === "string";
    const sequences = (single ? [[inputs].flat()] : inputs) as string[][];
    const { rows } = await predictions(context, options, {
      inputs: sequences.map(([text, pair]) => ({ text: text!, pair })),
      truncate,
      scoreFunction: raw_scores ? "none" : undefined,
      textField: (index) => single ? "inputs" : `inputs.${index}`,
    });
    const scores = rows.map((row) => row.scores);
    return context.json(single ? scores[0]! : scores, 200);
  });
}
