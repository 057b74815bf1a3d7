/**
 * `POST /classify` in the shape of vLLM.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import {
  PredictHeaders,
  predictions,
  type PredictRoutesOptions,
  Text,
} from "./prediction_requests.ts";
import { createRouter, declareRoute, errorAnswers, jsonBody, jsonContent } from "./router.ts";

const Request = z.object({
  model: z.string().min(1).nullish().describe("By default the default model"),
  input: z.union([Text, z.array(Text).min(1)], {
    error: "must be a text that is not empty, or a list of such",
  }),
  truncate_prompt_tokens: z.literal(-1, { error: "must be -1, for all that the model takes" })
    .nullish().describe("-1: a text that is too long loses its end"),
  use_activation: z.boolean().nullish()
    .describe("Whether to give scores; logits otherwise"),
}).meta({ id: "ClassifyRequest" });

const Classification = z.object({
  index: z.int().describe("Which text it is of, from 0"),
  label: z.string().describe("The class with the highest score"),
  probs: z.array(z.number()).describe("The scores of all classes, in the model's order"),
  num_classes: z.int(),
}).meta({ id: "Classification" });

const Usage = z.object({
  prompt_tokens: z.int(),
  total_tokens: z.int(),
  completion_tokens: z.int(),
}).meta({ id: "Usage" });

const Answer = z.object({
  id: z.string(),
  object: z.literal("list"),
  created: z.int().describe("Seconds since 1970"),
  model: z.string().describe("The model that answered, as name@version"),
  data: z.array(Classification),
  usage: Usage,
}).meta({ id: "ClassifyAnswer" });

const route = declareRoute({
  method: "post",
  path: "/classify",
  operationId: "classify",
  scope: "predict",
  predicts: true,
  tags: ["predict"],
  summary: "Classify texts, as vLLM does",
  request: { headers: PredictHeaders, body: jsonBody(Request) },
  responses: {
    200: jsonContent(Answer, "The classes of each text"),
    ...errorAnswers(413, 422, 424, 429, 503),
  },
});

/** The route. */
export function vllmRoutes(options: PredictRoutesOptions): OpenAPIHono {
  return createRouter().openapi(route, async (context) => {
    const { model, input, truncate_prompt_tokens, use_activation } = context.req.valid("json");
    const { rows, timing } = await predictions(context, options, {
      inputs: [input].flat().map((text) => ({ text, model: model ?? undefined })),
      textField: (index) => typeof input === "string" ? "input" : `input.${index}`,
      modelField: () => "model",
      truncate: truncate_prompt_tokens === -1,
      scoreFunction: use_activation === false ? "none" : undefined,
    });
    const { name, version } = rows[0]!.model;
    return context.json({
      id: `classify-${context.get("requestId")}`,
      object: "list" as const,
      created: Math.floor(Date.now() / 1000),
      model: `${name}@${version}`,
      data: rows.map(({ labels, scores }, index) => {
        const scoreOf = new Map(scores.map(({ label, score }) => [label, score]));
        return {
          index,
          label: scores[0]!.label,
          probs: labels.map((label) => scoreOf.get(label)!),
          num_classes: labels.length,
        };
      }),
      usage: {
        prompt_tokens: timing.tokens,
        total_tokens: timing.tokens,
        completion_tokens: 0,
      },
    }, 200);
  });
}
