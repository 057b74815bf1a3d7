/**
 * `/v2`: the Open Inference Protocol of KServe, Triton and others, with its extensions for binary
 * tensors and the repository of models. Texts are sent as BYTES.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { Buffer } from "node:buffer";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import { z } from "zod";
import config from "../deno.json" with { type: "json" };
import type { LabelScore } from "../models/inference/text_classifier.ts";
import type { ModelCache } from "../serving/model_cache.ts";
import type { ModelVersion } from "../serving/model_reference.ts";
import type { ModelRegistry } from "../serving/model_registry.ts";
import { borrowModel, describeModel } from "../serving/predictor.ts";
import { encodeTensor, HEADER_LENGTH, readInferenceBody } from "./binary_tensors.ts";
import { invalidField } from "./errors.ts";
import type { IsReady } from "./health.ts";
import {
  PredictHeaders,
  predictions,
  type PredictRoutesOptions,
  Text,
} from "./prediction_requests.ts";
import {
  BINARY,
  createRouter,
  declareRoute,
  errorAnswers,
  jsonBody,
  jsonContent,
  optionalJsonBody,
} from "./router.ts";

const OUTPUTS = ["label", "score", "labels", "scores"] as const;

const EXTENSIONS = ["binary_tensor_data", "model_repository"];

const InputTensor = z.object({
  name: z.string(),
  shape: z.array(z.int().min(0)),
  datatype: z.literal("BYTES"),
  data: z.array(z.union([z.string(), z.array(z.string())])),
}).meta({ id: "InputTensor" });

const RequestedOutput = z.object({
  name: z.enum(OUTPUTS),
  parameters: z.object({
    binary_data: z.boolean().optional().describe("Whether to give the tensor's bytes"),
  }).meta({ id: "RequestedOutputParameters" }).prefault({}),
}).meta({ id: "RequestedOutput" });

const Request = z.object({
  id: z.string().optional(),
  inputs: z.array(InputTensor).length(1).describe("One tensor of texts, [n] or [n, 1]"),
  outputs: z.array(RequestedOutput).optional().describe("By default all"),
  parameters: z.object({
    truncate: z.boolean().default(false).describe("Whether a text that is too long loses its end"),
    binary_data_output: z.boolean().default(false)
      .describe("Whether to give the bytes of all tensors"),
  }).meta({ id: "InferenceParameters" }).prefault({}),
}).meta({ id: "InferenceRequest" });

const OutputTensor = z.object({
  name: z.string(),
  datatype: z.string(),
  shape: z.array(z.int()),
  parameters: z.object({ binary_data_size: z.int() }).meta({ id: "OutputTensorParameters" })
    .optional(),
  data: z.array(z.union([z.string(), z.number()])).optional()
    .describe("Not there if the tensor's bytes come after the JSON"),
}).meta({ id: "OutputTensor" });

const Answer = z.object({
  model_name: z.string(),
  model_version: z.string(),
  id: z.string().optional(),
  outputs: z.array(OutputTensor),
}).meta({ id: "InferenceAnswer" });

const TensorMetadata = z.object({
  name: z.string(),
  datatype: z.string(),
  shape: z.array(z.int()),
}).meta({ id: "TensorMetadata" });

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
}).meta({ id: "ServerMetadata" });

const ServerLive = z.object({ live: z.boolean() }).meta({ id: "ServerLive" });
const ServerReady = z.object({ ready: z.boolean() }).meta({ id: "ServerReady" });
const ModelReady = z.object({ name: z.string(), ready: z.boolean() }).meta({ id: "ModelReady" });

const RepositoryRequest = z.object({
  ready: z.boolean().default(false).describe("Whether to leave out models that cannot be used"),
}).meta({ id: "RepositoryRequest" });

const RepositoryIndex = z.array(
  z.object({
    name: z.string(),
    version: z.string(),
    state: z.literal("READY"),
    reason: z.string(),
  }).meta({ id: "RepositoryEntry" }),
).meta({ id: "RepositoryIndex" });

/** Models are loaded from their folders; Triton's `config` and files in their place are refused. */
const LoadRequest = z.object({
  parameters: z.strictObject({ unload_dependents: z.boolean().optional() })
    .meta({ id: "LoadParameters" }).optional(),
}).meta({ id: "LoadRequest" });

const ModelParams = z.object({ model: z.string() });
const VersionParams = z.object({ model: z.string(), version: z.string() });

/** Options of {@link openInferenceRoutes}. */
export interface OpenInferenceRoutesOptions extends PredictRoutesOptions {
  models: ModelRegistry;
  cache: ModelCache;
  isReady: IsReady;
}

/** The routes. */
export function openInferenceRoutes(options: OpenInferenceRoutesOptions): OpenAPIHono {
  const router = createRouter();
  addServerRoutes(router, options);
  addModelRoutes(router, options);
  addRepositoryRoutes(router, options);
  return router;
}

/** The server itself, and whether it lives. */
function addServerRoutes(router: OpenAPIHono, { isReady }: OpenInferenceRoutesOptions): void {
  router.openapi(
    declareRoute({
      ...SHARED,
      method: "get",
      path: "/v2",
      operationId: "getServerMetadata",
      scope: "predict",
      summary: "Describe the server",
      responses: { 200: jsonContent(ServerMetadata, "Its name, version and extensions") },
    }),
    (context) =>
      context.json({ name: "graft", version: config.version, extensions: EXTENSIONS }, 200),
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
      responses: { 200: jsonContent(ServerLive, "It does") },
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
      responses: { 200: jsonContent(ServerReady, "It can") },
    }),
    (context) => {
      if (!isReady()) throw new HTTPException(503, { message: "The server is not ready" });
      return context.json({ ready: true }, 200);
    },
  );
}

/** A model's tensors and answers, of one version or of that which is served. */
function addModelRoutes(router: OpenAPIHono, options: OpenInferenceRoutesOptions): void {
  const { models, isReady } = options;
  for (const [prefix, Model, params] of VARIANTS) {
    router.openapi(
      declareRoute({
        ...SHARED,
        method: "get",
        path: prefix,
        operationId: `get${Model}Metadata`,
        scope: "predict",
        request: { params },
        summary: "Describe the inputs and outputs of a model",
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
          200: jsonContent(ModelReady, "It can"),
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
        otherBody: { mediaType: "application/octet-stream", read: readInferenceBody },
        summary: "Classify texts, by the Open Inference Protocol",
        request: { params, headers: PredictHeaders, body: jsonBody(Request) },
        responses: {
          200: {
            description: "Label and score of each text, and all of them, highest first",
            content: {
              "application/json": { schema: Answer },
              "application/octet-stream": { schema: BINARY },
            },
          },
          ...errorAnswers(404, 413, 422, 424, 429, 503),
        },
      }),
      async (context) => {
        const { answer, tensors } = await infer(context, options, context.req.valid("json"));
        if (tensors.length === 0) return context.json(answer, 200);
        const head = new TextEncoder().encode(JSON.stringify(answer));
        context.header(HEADER_LENGTH, String(head.length));
        context.header("Content-Type", "application/octet-stream");
        return context.body(Buffer.concat([head, ...tensors]), 200);
      },
    );
  }
}

/** The versions of all models, and which are in memory. */
function addRepositoryRoutes(
  router: OpenAPIHono,
  { models, cache }: OpenInferenceRoutesOptions,
): void {
  router.openapi(
    declareRoute({
      ...SHARED,
      method: "post",
      path: "/v2/repository/index",
      operationId: "listRepository",
      scope: "predict",
      summary: "All versions of all models; each is loaded when it is asked for",
      request: { body: optionalJsonBody(RepositoryRequest) },
      responses: { 200: jsonContent(RepositoryIndex, "The versions"), ...errorAnswers(422) },
    }),
    async (context) => {
      const versions = (await models.list()).flatMap(({ versions }) => versions);
      const index = versions.map(({ name, version }) => ({
        name,
        version: String(version),
        state: "READY" as const,
        reason: "",
      }));
      return context.json(index, 200);
    },
  );
  const repositoryRoute = <Action extends "load" | "unload">(action: Action, summary: string) =>
    declareRoute({
      ...SHARED,
      method: "post",
      path: `/v2/repository/models/{model}/${action}`,
      operationId: `${action}Model`,
      scope: "manage",
      summary,
      request: { params: ModelParams, body: optionalJsonBody(LoadRequest) },
      responses: { 200: { description: "Done" }, ...errorAnswers(404, 422, 424, 503) },
    });
  router.openapi(
    repositoryRoute("load", "Load a model now"),
    async (context) => {
      using _model = await borrowModel(cache, await models.resolve(referenceOf(context)));
      return context.body(null, 200);
    },
  );
  router.openapi(
    repositoryRoute("unload", "Free a model's memory, until it is asked for again"),
    async (context) => {
      cache.forget([await models.resolve(referenceOf(context))]);
      return context.body(null, 200);
    },
  );
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
): Promise<{ answer: z.infer<typeof Answer>; tensors: Uint8Array[] }> {
  const { shape, data } = tensor!;
  const texts = data.flat();
  const [n, width = 1] = shape;
  if (n !== texts.length || width !== 1 || shape.length > 2) {
    const rule = `must be [${texts.length}] or [${texts.length}, 1], the number of texts`;
    throw invalidField("inputs.0.shape", rule);
  }
  if (texts.length === 0) throw invalidField("inputs.0.data", "must hold a text");
  const field = (index: number) => `inputs.0.data.${index}`;
  for (const [index, text] of texts.entries()) {
    const { error } = Text.safeParse(text);
    if (error !== undefined) throw invalidField(field(index), error.issues[0]!.message);
  }
  const model = referenceOf(context);
  const { rows } = await predictions(context, options, {
    inputs: texts.map((text) => ({ text, model })),
    truncate: parameters.truncate,
    textField: field,
  });
  const { name, version }: ModelVersion = rows[0]!.model;
  const { described, tensors } = outputTensors(rows.map(({ scores }) => scores), {
    wanted: outputs ?? OUTPUTS.map((name) => ({ name, parameters: {} })),
    inBytes: parameters.binary_data_output,
  });
  const answer = {
    model_name: name,
    model_version: String(version),
    ...id !== undefined && { id },
    outputs: described,
  };
  return { answer, tensors };
}

/**
 * The tensors of an answer, and the bytes of those that are not in its JSON.
 *
 * @param scores The scores of each text, highest first.
 * @param inBytes Whether a tensor goes in bytes, unless the request says so itself.
 */
function outputTensors(
  scores: readonly (readonly LabelScore[])[],
  { wanted, inBytes }: { wanted: readonly z.infer<typeof RequestedOutput>[]; inBytes: boolean },
): { described: z.infer<typeof OutputTensor>[]; tensors: Uint8Array[] } {
  const n = scores.length;
  const width = scores[0]!.length;
  const values = {
    label: { datatype: "BYTES", shape: [n], data: scores.map(([best]) => best!.label) },
    score: { datatype: "FP32", shape: [n], data: scores.map(([best]) => best!.score) },
    labels: { datatype: "BYTES", shape: [n, width], data: scores.flat().map((it) => it.label) },
    scores: { datatype: "FP32", shape: [n, width], data: scores.flat().map((it) => it.score) },
  } as const;
  const tensors: Uint8Array[] = [];
  const described = wanted.map(({ name, parameters: { binary_data = inBytes } }) => {
    const { datatype, shape, data } = values[name];
    const tensor = { name, datatype, shape: [...shape] };
    if (!binary_data) return { ...tensor, data };
    const bytes = encodeTensor({ datatype, data });
    tensors.push(bytes);
    return { ...tensor, parameters: { binary_data_size: bytes.length } };
  });
  return { described, tensors };
}
