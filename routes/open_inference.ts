/**
 * `/v2`: the Open Inference Protocol, as KServe, Triton and others speak it. Texts go as BYTES.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import { z } from "zod";
import config from "../deno.json" with { type: "json" };
import type { ModelRegistry, ModelVersion } from "../serving/model_registry.ts";
import { describeModel } from "../serving/predictor.ts";
import { invalidField } from "./errors.ts";
import type { IsReady } from "./health.ts";
import { predictions, type PredictRoutesOptions, Text } from "./predictions.ts";
import { createRouter, declareRoute, errorAnswers, jsonBody, jsonContent } from "./router.ts";

const OUTPUTS = ["label", "score", "labels", "scores"] as const;

const Request = z.object({
  id: z.string().optional(),
  inputs: z.array(z.object({
    name: z.string(),
    shape: z.array(z.int().min(0)),
    datatype: z.literal("BYTES"),
    data: z.array(z.union([z.string(), z.array(z.string())])),
  })).length(1).describe("One tensor of texts, [n] or [n, 1]"),
  outputs: z.array(z.object({ name: z.enum(OUTPUTS) })).optional()
    .describe("By default all"),
  parameters: z.object({
    truncate: z.boolean().default(false).describe("Whether a text that is too long loses its end"),
  }).prefault({}),
}).meta({ id: "InferenceRequest" });

const Tensor = z.object({
  name: z.string(),
  datatype: z.string(),
  shape: z.array(z.int()),
  data: z.array(z.union([z.string(), z.number()])),
});

const Answer = z.object({
  model_name: z.string(),
  model_version: z.string(),
  id: z.string().optional(),
  outputs: z.array(Tensor),
}).meta({ id: "InferenceAnswer" });

const TensorMetadata = z.object({
  name: z.string(),
  datatype: z.string(),
  shape: z.array(z.int()),
});

const ModelMetadata = z.object({
  name: z.string(),
  versions: z.array(z.string()),
  platform: z.string(),
  inputs: z.array(TensorMetadata),
  outputs: z.array(TensorMetadata),
}).meta({ id: "ModelMetadata" });

const ServerMetadata = z.object({
  name: z.string(),
  version: z.string(),
  extensions: z.array(z.string()),
});

const ModelParams = z.object({ model: z.string() });
const VersionParams = z.object({ model: z.string(), version: z.string() });

/** What the routes need. */
export interface OpenInferenceRoutesOptions extends PredictRoutesOptions {
  models: ModelRegistry;
  isReady: IsReady;
}

/** The routes. */
export function openInferenceRoutes(options: OpenInferenceRoutesOptions): OpenAPIHono {
  const { models, isReady } = options;
  const router = createRouter();
  router.openapi(
    declareRoute({
      ...SHARED,
      method: "get",
      path: "/v2",
      operationId: "getServerMetadata",
      scope: "predict",
      summary: "What the server is",
      responses: { 200: jsonContent(ServerMetadata, "Its name, version and extensions") },
    }),
    (context) =>
      context.json({ name: "graft", version: config.version, extensions: [] as string[] }, 200),
  );
  router.openapi(
    declareRoute({
      ...SHARED,
      method: "get",
      path: "/v2/health/live",
      operationId: "isServerLive",
      scope: null,
      whileStopping: true,
      summary: "The server runs",
      responses: { 200: jsonContent(z.object({ live: z.boolean() }), "It does") },
    }),
    (context) => context.json({ live: true }, 200),
  );
  router.openapi(
    declareRoute({
      ...SHARED,
      method: "get",
      path: "/v2/health/ready",
      operationId: "isServerReady",
      scope: null,
      summary: "The server can predict",
      responses: { 200: jsonContent(z.object({ ready: z.boolean() }), "It can") },
    }),
    (context) => {
      if (!isReady()) throw new HTTPException(503, { message: "The server is not ready" });
      return context.json({ ready: true }, 200);
    },
  );

  for (const [prefix, Model, params] of VARIANTS) {
    router.openapi(
      declareRoute({
        ...SHARED,
        method: "get",
        path: prefix,
        operationId: `get${Model}Metadata`,
        scope: "predict",
        request: { params },
        summary: "What a model takes and gives",
        responses: { 200: jsonContent(ModelMetadata, "The tensors"), ...errorAnswers(404) },
      }),
      async (context) => {
        const { name } = await models.resolve(referenceOf(context));
        const { versions } = await models.model(name);
        return context.json({
          name,
          versions: versions.map(({ version }) => String(version)),
          platform: "graft_bert",
          inputs: [{ name: "text", datatype: "BYTES", shape: [-1] }],
          outputs: [
            { name: "label", datatype: "BYTES", shape: [-1] },
            { name: "score", datatype: "FP32", shape: [-1] },
            { name: "labels", datatype: "BYTES", shape: [-1, -1] },
            { name: "scores", datatype: "FP32", shape: [-1, -1] },
          ],
        }, 200);
      },
    );
    router.openapi(
      declareRoute({
        ...SHARED,
        method: "get",
        path: `${prefix}/ready`,
        operationId: `is${Model}Ready`,
        scope: "predict",
        request: { params },
        summary: "Whether a model can predict",
        responses: {
          200: jsonContent(z.object({ name: z.string(), ready: z.boolean() }), "It can"),
          ...errorAnswers(404, 424, 503),
        },
      }),
      async (context) => {
        const version = await models.resolve(referenceOf(context));
        if (!isReady()) throw new HTTPException(503, { message: "The server is not ready" });
        await describeModel(version);
        return context.json({ name: version.name, ready: true }, 200);
      },
    );
    router.openapi(
      declareRoute({
        ...SHARED,
        method: "post",
        path: `${prefix}/infer`,
        operationId: `inferWith${Model}`,
        scope: "predict",
        predicts: true,
        summary: "Classify texts, by the Open Inference Protocol",
        request: { params, body: jsonBody(Request) },
        responses: {
          200: jsonContent(Answer, "Label and score of each text, and all of them, highest first"),
          ...errorAnswers(404, 413, 422, 424, 429, 503),
        },
      }),
      async (context) =>
        context.json(await infer(context, options, context.req.valid("json")), 200),
    );
  }
  return router;
}

const SHARED = { tags: ["open inference protocol"] };

const VARIANTS = [
  ["/v2/models/{model}", "Model", ModelParams],
  ["/v2/models/{model}/versions/{version}", "ModelVersion", VersionParams],
] as const;

/** `{model}` and `{version}` of the path -> `name@version` */
function referenceOf(context: Context): string {
  const { model, version } = context.req.param() as { model: string; version?: string };
  return version === undefined ? model : `${model}@${version}`;
}

async function infer(
  context: Context,
  options: PredictRoutesOptions,
  { id, inputs: [tensor], outputs, parameters }: z.infer<typeof Request>,
): Promise<z.infer<typeof Answer>> {
  const { shape, data } = tensor!;
  const texts = data.flat();
  const [n, width = 1] = shape;
  if (n !== texts.length || width !== 1 || shape.length > 2) {
    const rule = `must be [${texts.length}] or [${texts.length}, 1], as there are so many texts`;
    throw invalidField("inputs.0.shape", rule);
  }
  if (texts.length === 0) throw invalidField("inputs.0.data", "must hold a text");
  const field = (index: number) => `inputs.0.data.${index}`;
  for (const [index, text] of texts.entries()) {
    const { error } = Text.safeParse(text);
    if (error !== undefined) throw invalidField(field(index), error.issues[0]!.message);
  }
  const model = referenceOf(context);
  const rows = await predictions(context, options, {
    inputs: texts.map((text) => ({ text, model })),
    truncate: parameters.truncate,
    textField: field,
  });
  const { name, version }: ModelVersion = rows[0]!.model;
  const scores = rows.map((row) => row.scores);
  const count = scores[0]!.length;
  const tensors = {
    label: { datatype: "BYTES", shape: [n], data: scores.map(([best]) => best!.label) },
    score: { datatype: "FP32", shape: [n], data: scores.map(([best]) => best!.score) },
    labels: { datatype: "BYTES", shape: [n, count], data: scores.flat().map((it) => it.label) },
    scores: { datatype: "FP32", shape: [n, count], data: scores.flat().map((it) => it.score) },
  };
  return {
    model_name: name,
    model_version: String(version),
    ...id !== undefined && { id },
    outputs: (outputs?.map((output) => output.name) ?? OUTPUTS)
      .map((output) => ({ name: output, ...tensors[output] })),
  };
}
