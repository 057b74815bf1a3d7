/**
 * `POST /v1/explain`: explains how much each word of a text adds to a class.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { Explainers } from "../serving/explainers.ts";
import { SlowTextError } from "../serving/long_texts.ts";
import { UnknownModelError } from "../serving/model_reference.ts";
import type { ModelRegistry } from "../serving/model_registry.ts";
import { invalidField } from "./errors.ts";
import { Text } from "./prediction_requests.ts";
import { createRouter, declareRoute, errorAnswers, jsonBody, jsonContent } from "./router.ts";

const Request = z.strictObject({
  model: z.string().min(1).optional()
    .describe("A model's name, name@version or name:alias; by default the default model"),
  text: Text,
  label: z.string().optional().describe("The class; by default the one with the highest score"),
}).meta({ id: "ExplainRequest" });

const Answer = z.object({
  model: z.string().describe("The model that answered, as name@version"),
  label: z.string(),
  words: z.array(
    z.object({
      word: z.string(),
      start: z.int().describe("Where it stands in the text, in UTF-16 units"),
      contribution: z.number().describe(
        "The amount that it adds to the logit, by a linear estimate",
      ),
      share: z.number().describe(
        "The same as a share of all that words add or take away, from -1 to 1",
      ),
    }).meta({ id: "WordContribution" }),
  ),
  truncated: z.boolean().describe(
    "Whether the text is longer than the model reads at once: only its beginning is explained, and " +
      "the words after it have no share",
  ),
}).meta({ id: "Explanation" });

const route = declareRoute({
  method: "post",
  path: "/v1/explain",
  operationId: "explain",
  scope: "predict",
  predicts: true,
  tags: ["predict"],
  summary: "How much each word of a text adds to a class: gradient times input",
  request: { body: jsonBody(Request) },
  responses: {
    200: jsonContent(Answer, "The words and their shares"),
    ...errorAnswers(422, 424, 429, 503),
  },
});

/** The route. */
export function explainRoutes(models: ModelRegistry, explainers: Explainers): OpenAPIHono {
  return createRouter().openapi(route, async (context) => {
    const { model: reference, text, label } = context.req.valid("json");
    const version = await models.resolve(reference).catch((error) => {
      if (error instanceof UnknownModelError) throw invalidField("model", error.message);
      throw error;
    });
    try {
      const explanation = await explainers.explain(version, text, label);
      return context.json({ model: `${version.name}@${version.version}`, ...explanation }, 200);
    } catch (error) {
      if (error instanceof RangeError) throw invalidField("label", error.message);
      if (error instanceof SlowTextError) throw invalidField("text", error.message);
      throw error;
    }
  });
}
