/**
 * The JSON of errors, with `error` and `error_type`.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context, ErrorHandler, NotFoundHandler } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { NoRoomError } from "../serving/model_cache.ts";
import { UnknownModelError } from "../serving/model_reference.ts";
import { ModelConflictError } from "../serving/model_registry.ts";
import { InferenceError } from "../serving/predictor.ts";
import { isDiskFull } from "../lib/files.ts";
import type { HideFolders } from "../lib/hide_folders.ts";
import { IngestionEndedError } from "../orchestration/ingestion.ts";
import { RunStateError } from "../orchestration/run_store.ts";
import { StateError, StoreUnavailableError } from "../orchestration/store.ts";
import { QueueFullError } from "../orchestration/supervisor.ts";

const ERROR_TYPES: Partial<Record<ContentfulStatusCode, string>> = {
  400: "malformed",
  401: "unauthorized",
  403: "forbidden",
  404: "not_found",
  405: "method_not_allowed",
  408: "timeout",
  409: "conflict",
  413: "too_large",
  415: "unsupported_media_type",
  422: "validation",
  424: "backend",
  429: "overloaded",
  503: "not_ready",
  507: "no_room",
};

const MAX_MESSAGE_LENGTH = 1000;

/** The status of a request whose client has gone; it only appears in logs and metrics. */
const CLIENT_CLOSED_REQUEST = 499 as ContentfulStatusCode;

/** An error for a field with a value that is not allowed. */
export function invalidField(field: string, rule: string): HTTPException {
  return new HTTPException(422, { message: `'${field}': ${rule}` });
}

/** An error for a request that may be repeated after a while. */
export function retryLater(
  status: 429 | 503,
  message: string,
  afterSeconds: number,
): HTTPException {
  const res = new Response(null, { headers: { "Retry-After": String(afterSeconds) } });
  return new HTTPException(status, { message, res });
}

/** The error of a server that has been told to stop. */
export function aboutToStop(): HTTPException {
  return retryLater(503, "The server is about to stop", 1);
}

/**
 * Answers requests whose routes throw errors.
 *
 * @param hideFolders Hides the server's folders from clients.
 */
export function answerErrors(hideFolders: HideFolders): ErrorHandler {
  return (error, context) => {
    const known = httpError(error, context);
    if (known !== undefined) {
      const error_type = ERROR_TYPES[known.status] ?? "error";
      known.res?.headers.forEach((value, name) => context.header(name, value));
      context.set("errorType", error_type);
      return context.json(
        { error: shortened(hideFolders(known.message)), error_type },
        known.status,
      );
    }
    console.error(`Request ${context.get("requestId")}:`, error);
    context.set("errorType", "internal");
    return context.json({
      error: "Internal error; the server's log has it under this request's id",
      error_type: "internal",
    }, 500);
  };
}

/** Shortens a message, as it contains values of the request, which may have any length. */
function shortened(message: string): string {
  if (message.length <= MAX_MESSAGE_LENGTH) return message;
  const half = MAX_MESSAGE_LENGTH / 2;
  return `${message.slice(0, half)} … ${message.slice(-half)}`.toWellFormed();
}

function httpError(error: Error, context: Context): HTTPException | undefined {
  const { message } = error;
  if (error instanceof HTTPException) return error;
  if (error instanceof UnknownModelError) return new HTTPException(404, { message });
  if (error instanceof RunStateError) return new HTTPException(409, { message });
  if (error instanceof ModelConflictError) return new HTTPException(409, { message });
  if (error instanceof QueueFullError) return retryLater(429, message, 60);
  if (error instanceof StoreUnavailableError) return retryLater(503, message, 1);
  if (error instanceof IngestionEndedError) return retryLater(503, message, 1);
  if (error instanceof StateError) return new HTTPException(503, { message });
  if (isDiskFull(error)) {
    return new HTTPException(507, { message: "No space is left on the server's disk" });
  }
  if (error instanceof NoRoomError) return retryLater(503, message, 1);
  if (error instanceof InferenceError) return new HTTPException(424, { message });
  // A body that ends too early causes such an error.
  if (context.req.raw.signal.aborted || error instanceof Deno.errors.BadResource) {
    return new HTTPException(CLIENT_CLOSED_REQUEST, { message: "The client has gone" });
  }
  return undefined;
}

/** Answers a request for an unknown path, or for a known one with another method. */
export function answerNoRoute({ router }: Pick<OpenAPIHono, "router">): NotFoundHandler {
  return (context) => {
    const { method, path } = context.req;
    const allowed = ["GET", "POST", "PUT", "DELETE"].filter((method) =>
      // Middleware matches all methods.
      router.match(method, path)[0].some(([[, route]]) => route.method !== "ALL")
    );
    if (allowed.length === 0) {
      throw new HTTPException(404, { message: `No route ${method} ${path}` });
    }
    if (allowed.includes("GET")) allowed.push("HEAD");
    const message = `${path} takes ${allowed.join(", ")}, and not ${method}`;
    const res = new Response(null, { headers: { Allow: [...allowed, "OPTIONS"].join(", ") } });
    throw new HTTPException(405, { message, res });
  };
}
