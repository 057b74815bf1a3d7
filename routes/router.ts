/**
 * What the routes have in common: how they are declared, how bodies are read.
 *
 * @module
 */
import { OpenAPIHono, type z } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import { z as schema } from "zod";
import { invalidField } from "./errors.ts";

/** Routes of one resource; a request that breaks a rule of theirs gets 422 with the field's name. */
export function createRouter(): OpenAPIHono {
  return new OpenAPIHono({
    defaultHook: (result) => {
      if (result.success) return;
      const { path, message } = result.error.issues[0]!;
      throw invalidField(path.join(".") || "body", message);
    },
  });
}

/** What every error says. */
export const ErrorBody = schema.object({
  error: schema.string(),
  error_type: schema.string(),
}).meta({ id: "Error" });

/** An answer in JSON, as a route declares it. */
export function jsonContent<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { description, content: { "application/json": { schema } } };
}

/** A body in JSON, as a route declares it. */
export function jsonBody<Schema extends z.ZodType>(schema: Schema) {
  return { required: true, content: { "application/json": { schema } } };
}

/** The errors that a route may answer, besides those that any may. */
export function errorAnswers(...statuses: (404 | 409 | 413 | 422 | 424 | 429 | 503 | 507)[]) {
  return Object.fromEntries(
    [400, 401, ...statuses].map((status) => [status, jsonContent(ErrorBody, ERRORS[status]!)]),
  );
}

const ERRORS: Record<number, string> = {
  400: "The body is not JSON",
  401: "An API key is needed",
  404: "There is no such thing",
  409: "Something else rules the change out",
  413: "There is too much of something",
  422: "A field breaks its rule",
  424: "The model could not be loaded or run",
  429: "The server has too much to do; see Retry-After",
  503: "The server is not ready",
  507: "There is no room on the disk",
};

/**
 * Reads every body as JSON in UTF-8, whatever it is called: `curl -d` calls it a form.
 *
 * @throws {HTTPException} 400 if it is not that.
 */
export const readJsonBody: MiddlewareHandler = async (context, next) => {
  if (context.req.method === "POST" || context.req.method === "PUT") {
    const bytes = await context.req.arrayBuffer();
    if (bytes.byteLength > 0) checkJson(bytes);
    const headers = new Headers(context.req.raw.headers);
    headers.set("Content-Type", "application/json");
    context.req.raw = new Request(context.req.raw, { headers, body: bytes });
  }
  await next();
};

function checkJson(bytes: ArrayBuffer): void {
  try {
    JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new HTTPException(400, { message: "The body must be JSON in UTF-8" });
  }
}
