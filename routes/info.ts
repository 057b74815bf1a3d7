/**
 * `/info`: the server's models and limits, in text-embeddings-inference's shape.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import config from "../deno.json" with { type: "json" };
import { labelsOf } from "../models/formats/config.ts";
import type { ModelCache } from "../serving/model_cache.ts";
import { UnknownModelError } from "../serving/model_reference.ts";
import type { ModelRegistry } from "../serving/model_registry.ts";
import { describeModel } from "../serving/predictor.ts";
import { createRouter, declareRoute, errorAnswers, jsonContent } from "./router.ts";

/** The limits that the server was started with. */
export interface Limits {
  /** The most tokens of a batch; by default as many as the device handles in about 100 ms. */
  maxBatchTokens?: number | undefined;
  maxClientBatchSize: number;
  maxConcurrentRequests: number;
  payloadLimitBytes: number;
}

const Classifier = z.object({
  id2label: z.record(z.string(), z.string()),
  label2id: z.record(z.string(), z.int()),
}).meta({ id: "Classifier" });

const Info = z.object({
  model_id: z.string().nullable().describe("The default model; null if there is none"),
  model_version: z.int().nullable(),
  model_dtype: z.enum(["float32", "int8"]),
  model_type: z.object({ classifier: Classifier }).meta({ id: "ModelType" }).nullable(),
  max_input_length: z.int().nullable(),
  max_batch_tokens: z.int().nullable()
    .describe("null if it is what the device does in about 100 ms"),
  max_client_batch_size: z.int(),
  max_concurrent_requests: z.int(),
  payload_limit: z.int(),
  version: z.string(),
}).meta({ id: "Info" });

const route = declareRoute({
  method: "get",
  path: "/info",
  operationId: "getInfo",
  scope: "predict",
  tags: ["health"],
  summary: "The default model and the limits",
  responses: {
    200: jsonContent(Info, "The model and the limits"),
    ...errorAnswers(424),
  },
});

/** The route. */
export function infoRoutes(
  models: ModelRegistry,
  cache: ModelCache,
  limits: Limits,
): OpenAPIHono {
  return createRouter().openapi(route, async (context) => {
    const model = await models.resolve().catch((error) => {
      if (error instanceof UnknownModelError) return undefined;
      throw error;
    });
    const description = model && await describeModel(model);
    const labels = description && labelsOf(description.config);
    return context.json({
      model_id: model?.name ?? null,
      model_version: model?.version ?? null,
      model_dtype: cache.dtype === "q8" ? "int8" as const : "float32" as const,
      model_type: labels === undefined ? null : {
        classifier: {
          id2label: Object.fromEntries(labels.map((label, id) => [String(id), label])),
          label2id: Object.fromEntries(labels.map((label, id) => [label, id])),
        },
      },
      max_input_length: description?.tokenizer.maxLength ?? null,
      max_batch_tokens: limits.maxBatchTokens ?? null,
      max_client_batch_size: limits.maxClientBatchSize,
      max_concurrent_requests: limits.maxConcurrentRequests,
      payload_limit: limits.payloadLimitBytes,
      version: config.version,
    }, 200);
  });
}
