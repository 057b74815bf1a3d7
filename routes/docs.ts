/**
 * `/openapi.json` and `/docs`: the description of the routes, for machines and for people.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { html } from "hono/html";
import { z } from "zod";
import config from "../deno.json" with { type: "json" };
import { declareRoute, jsonContent } from "./router.ts";

const INFO = {
  openapi: "3.1.0",
  info: {
    title: "Graft",
    version: config.version,
    description: "Classifies texts with fine-tuned BERT models, and trains them.",
  },
};

const Description = z.looseObject({});

const shared = { method: "get" as const, scope: null, tags: ["documentation"] };

const descriptionRoute = declareRoute({
  ...shared,
  path: "/openapi.json",
  operationId: "getOpenApi",
  summary: "The description of all routes",
  responses: { 200: jsonContent(Description, "A document of OpenAPI 3.1") },
});

const pageRoute = declareRoute({
  ...shared,
  path: "/docs",
  operationId: "getDocs",
  summary: "The same as a page",
  responses: {
    200: { description: "The page", content: { "text/html": { schema: z.string() } } },
  },
});

/** A route as the page shows it. */
interface Operation {
  summary?: string;
  tags?: string[];
  requestBody?: unknown;
  parameters?: unknown;
  responses?: unknown;
}

/** Adds the routes' descriptions to an application. */
export function addDocs(app: OpenAPIHono): void {
  app.openAPIRegistry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
  });
  // The description is made on first demand, and once: it costs as much as some predictions.
  let made: ReturnType<typeof app.getOpenAPI31Document> | undefined;
  let documentation: string | undefined;
  // Each value is of exactly one kind, and clients can do more with a choice declared so.
  const describe = () => made ??= app.getOpenAPI31Document(INFO, { unionPreferredType: "oneOf" });
  app.openapi(descriptionRoute, (context) => {
    const description: z.infer<typeof Description> = { ...describe() };
    return context.json(description, 200);
  });
  app.openapi(pageRoute, (context) => {
    documentation ??= String(pageOf(describe()));
    return context.html(documentation);
  });
}

/** The page of a description. */
function pageOf(description: ReturnType<OpenAPIHono["getOpenAPI31Document"]>) {
  const { paths = {}, components } = description;
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods as Record<string, Operation>)
      .map(([method, operation]) => ({ path, method: method.toUpperCase(), operation }))
  );
  return page(operations, components?.schemas ?? {});
}

/** A page that needs no network. */
function page(
  operations: { path: string; method: string; operation: Operation }[],
  schemas: Record<string, unknown>,
) {
  const json = (value: unknown) => html`<pre>${JSON.stringify(value, null, 2)}</pre>`;
  return html`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Graft</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: 14px/1.4 ui-monospace, monospace }
pre { overflow-x: auto; padding: .5rem; background: #8881 }
summary { cursor: pointer }
</style>
<h1>Graft</h1>
<p>The same for machines: <a href="/openapi.json">/openapi.json</a></p>
${
    operations.map(({ path, method, operation: { summary, parameters, requestBody, responses } }) =>
      html`<details>
<summary><code>${method} ${path}</code> ${summary}</summary>
${json({ parameters, requestBody, responses })}
</details>`
    )
  }
<h2>Schemas</h2>
${
    Object.entries(schemas).map(([name, schema]) =>
      html`<details><summary><code>${name}</code></summary>${json(schema)}</details>`
    )
  }
</html>`;
}
