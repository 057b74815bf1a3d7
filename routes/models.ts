/**
 * `/v1/models`: the models, their versions and their aliases.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import { basename } from "node:path";
import type { RunStore } from "../orchestration/run_store.ts";
import type { Metrics, VersionFigures } from "../serving/server_metrics.ts";
import type { ModelCache } from "../serving/model_cache.ts";
import {
  CURRENT_ALIAS,
  currentVersions,
  type Model as ModelInfo,
  UnknownModelError,
} from "../serving/model_reference.ts";
import type { ModelRegistry } from "../serving/model_registry.ts";
import { invalidField } from "./errors.ts";
import { createRouter, declareRoute, errorAnswers, jsonBody, jsonContent } from "./router.ts";

const MAX_PAGE = 1000;

const WeightedVersion = z.object({
  version: z.int().min(1),
  weight: z.number().min(0).max(1e6),
}).meta({ id: "WeightedVersion" });

const Model = z.object({
  name: z.string(),
  versions: z.array(
    z.object({
      version: z.int(),
      finished_at: z.string(),
      loaded: z.boolean().describe("Whether it is in memory"),
      bytes: z.int().nullable().describe("Its weights in memory; null if it is not there"),
      last_used_at: z.string().nullable().describe("null if it is not in memory"),
      run: z.string().nullable().describe(
        "The run that trained it; null if none of the server did",
      ),
      texts: z.int().describe("Texts that it classified since the server started"),
      failures: z.int().describe("Texts that it could not classify since then"),
      mean_ms: z.number().nullable().describe("The mean time of its answers since then"),
    }).meta({ id: "ModelVersion" }),
  ),
  current: z.array(WeightedVersion).describe("The versions for requests that name the model alone"),
  aliases: z.record(z.string(), z.array(WeightedVersion))
    .describe(
      `'${CURRENT_ALIAS}' is what the name alone stands for; it is set when a second version comes`,
    ),
}).meta({ id: "Model" });

const ModelList = z.object({
  models: z.array(Model),
  next: z.string().nullable().describe("The 'after' of the next page; null at the end"),
}).meta({ id: "ModelList" });

const AliasName = z.string().regex(
  /^[A-Za-z][A-Za-z0-9._-]{0,63}$/,
  "must begin with a letter and be 1 to 64 of A-Z a-z 0-9 . _ -",
);

const OtherClasses = z.boolean().default(false)
  .describe("Whether the versions may be for other classes than each other and those before");

const AliasRequest = z.union([
  z.strictObject({ version: z.int().min(1), other_classes: OtherClasses }).meta({
    id: "AliasOfVersion",
  }),
  z.strictObject({
    versions: z.array(WeightedVersion).min(1).max(16)
      .refine((versions) => versions.some(({ weight }) => weight > 0), "one needs a weight over 0")
      .refine(
        (versions) => new Set(versions.map((it) => it.version)).size === versions.length,
        "each version may be named once",
      ),
    other_classes: OtherClasses,
  }).meta({ id: "AliasOfVersions" }),
], { error: "must be {version} or {versions: [{version, weight}, …]}" }).meta({ id: "Alias" });

const tags = ["models"];
const NameParams = z.object({ name: z.string() });
const AliasParams = z.object({ name: z.string(), alias: AliasName });

const list = declareRoute({
  method: "get",
  path: "/v1/models",
  operationId: "listModels",
  scope: "predict",
  tags,
  summary: "Models by name",
  request: {
    query: z.object({
      name: z.string().optional().describe("A part of the names"),
      limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(MAX_PAGE),
      after: z.string().optional().describe("The name of the last model of the page before"),
    }),
  },
  responses: {
    200: jsonContent(
      ModelList,
      "A page of models",
    ),
    ...errorAnswers(422),
  },
});

const show = declareRoute({
  method: "get",
  path: "/v1/models/{name}",
  operationId: "getModel",
  scope: "predict",
  tags,
  summary: "One model",
  request: { params: NameParams },
  responses: { 200: jsonContent(Model, "The model"), ...errorAnswers(404) },
});

const putAlias = declareRoute({
  method: "put",
  path: "/v1/models/{name}/aliases/{alias}",
  operationId: "putAlias",
  scope: "manage",
  tags,
  summary: "Point an alias at a version, or divide its requests among several",
  request: { params: AliasParams, body: jsonBody(AliasRequest) },
  responses: { 200: jsonContent(Model, "The model"), ...errorAnswers(404, 409, 422) },
});

const deleteAlias = declareRoute({
  method: "delete",
  path: "/v1/models/{name}/aliases/{alias}",
  operationId: "deleteAlias",
  scope: "manage",
  tags,
  summary: "Remove an alias",
  request: { params: AliasParams },
  responses: { 204: { description: "Removed" }, ...errorAnswers(404, 409, 422) },
});

const remove = declareRoute({
  method: "delete",
  path: "/v1/models/{name}",
  operationId: "deleteModel",
  scope: "manage",
  tags,
  summary: "Stop serving a model, or its version name@version; the files stay",
  request: { params: NameParams },
  responses: { 204: { description: "Removed" }, ...errorAnswers(404, 409) },
});

/** The routes. */
export function modelRoutes(
  models: ModelRegistry,
  cache: ModelCache,
  metrics: Metrics,
  runs: RunStore,
): OpenAPIHono {
  const describe = (model: ModelInfo, figures: ReadonlyMap<string, VersionFigures>) =>
    answeredModel(model, figures, cache, runs);
  const describeNow = async (name: string) =>
    describe(await models.model(name), await metrics.versions());
  return createRouter()
    .openapi(list, async (context) => {
      const { name = "", limit, after } = context.req.valid("query");
      const matching = (await models.list())
        .filter((model) =>
          model.name.includes(name) && (after === undefined || model.name > after)
        );
      const page = matching.slice(0, limit);
      const figures = await metrics.versions();
      return context.json({
        models: await Promise.all(page.map((model) => describe(model, figures))),
        next: matching.length > limit ? page.at(-1)!.name : null,
      }, 200);
    })
    .openapi(
      show,
      async (context) => context.json(await describeNow(context.req.valid("param").name), 200),
    )
    .openapi(putAlias, async (context) => {
      const { name, alias } = context.req.valid("param");
      const body = context.req.valid("json");
      const versions = "version" in body ? [{ version: body.version, weight: 1 }] : body.versions;
      await models.model(name);
      try {
        await models.setAlias(name, alias, versions, { otherClasses: body.other_classes });
      } catch (error) {
        if (!(error instanceof UnknownModelError)) throw error;
        throw invalidField("version" in body ? "version" : "versions", error.message);
      }
      return context.json(await describeNow(name), 200);
    })
    .openapi(deleteAlias, async (context) => {
      const { name, alias } = context.req.valid("param");
      await models.deleteAlias(name, alias);
      return context.body(null, 204);
    })
    .openapi(remove, async (context) => {
      cache.forget(await models.delete(context.req.valid("param").name));
      return context.body(null, 204);
    });
}

/** A model as it is answered: its versions, with those in memory, and its aliases. */
async function answeredModel(
  model: ModelInfo,
  figures: ReadonlyMap<string, VersionFigures>,
  cache: ModelCache,
  runs: RunStore,
): Promise<z.infer<typeof Model>> {
  const { name, versions, aliases } = model;
  const loaded = new Map(
    cache.loaded.filter(({ version }) => version.name === name)
      .map((it) => [it.version.version, it]),
  );
  const described = versions.map(async ({ version, dir, finishedAt }) => {
    const inMemory = loaded.get(version);
    const { texts = 0, failures = 0, meanMs = null } = figures.get(`${name}@${version}`) ?? {};
    return {
      version,
      finished_at: finishedAt.toISOString(),
      loaded: inMemory !== undefined,
      bytes: inMemory?.bytes ?? null,
      last_used_at: inMemory?.lastUsedAt.toISOString() ?? null,
      run: (await runs.get(basename(dir)))?.id ?? null,
      texts,
      failures,
      mean_ms: meanMs,
    };
  });
  return {
    name,
    versions: await Promise.all(described),
    current: currentVersions(model),
    aliases: Object.fromEntries(aliases),
  };
}
