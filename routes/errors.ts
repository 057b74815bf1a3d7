/**
 * Errors as the routes answer them: JSON with `error` and `error_type`.
 *
 * @module
 */
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { z } from "zod";

const ERROR_TYPES: Partial<Record<ContentfulStatusCode, string>> = {
  400: "malformed",
  403: "forbidden",
  404: "not_found",
  413: "too_large",
  422: "validation",
  503: "not_ready",
};

/** A request whose value of one field is not allowed. */
export function invalidField(field: string, rule: string): HTTPException {
  return new HTTPException(422, { message: `'${field}': ${rule}` });
}

/** Answers an error that a route threw. */
export function onError(error: Error, context: Context): Response {
  if (error instanceof HTTPException) {
    const error_type = ERROR_TYPES[error.status] ?? "error";
    return context.json({ error: error.message, error_type }, error.status);
  }
  console.error(`Request ${context.get("requestId")}:`, error);
  return context.json({ error: "Something went wrong here", error_type: "internal" }, 500);
}

/** Answers a path that is not there. */
export function onNotFound(context: Context): Response {
  const error = `There is nothing at ${context.req.method} ${context.req.path}`;
  return context.json({ error, error_type: "not_found" }, 404);
}

/**
 * Reads a request's body as JSON and checks it.
 *
 * @throws {HTTPException} 400 if it is not JSON, 422 if a field breaks its rule.
 */
export async function readBody<Schema extends z.ZodType>(
  context: Context,
  schema: Schema,
): Promise<z.infer<Schema>> {
  let body: unknown;
  try {
    body = await context.req.json();
  } catch {
    throw new HTTPException(400, { message: "The body must be JSON" });
  }
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  throw invalidField(path.join(".") || "body", message);
}
