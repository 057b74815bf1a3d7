/**
 * The log of requests.
 *
 * @module
 */
import type { MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import { openTelemetry } from "../lib/telemetry.ts";
import type { Metrics } from "../serving/server_metrics.ts";

/** A request that was answered. */
export interface LogEntry {
  /** When it was answered, as ISO 8601 has it. */
  time: string;
  /** `error` where the server failed. */
  level: "info" | "error";
  /** `request` */
  message: string;
  /** The value of the answer's header `X-Request-Id`. */
  request_id: string;
  /** The HTTP method. */
  method: string;
  /** The path, cut to 500 characters. */
  path: string;
  /** The HTTP status of the answer. */
  status: number;
  /** The time from the request to the answer's headers. */
  duration_ms: number;
  /** The name of the API key, if there was one. */
  key?: string;
  /** The type of the error, if the request failed. */
  error_type?: string;
}

/** Writes an entry. */
export type Log = (entry: LogEntry) => void;

const MAX_PATH_LENGTH = 500;
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]);

/** Logs and counts each request. */
export function observeRequests(metrics: Metrics, log: Log): MiddlewareHandler {
  return async (context, next) => {
    const startedAt = performance.now();
    await next();
    const durationMs = performance.now() - startedAt;
    const { method, path } = context.req;
    const { status } = context.res;
    const errorType: string | undefined = context.get("errorType");
    const key: string | undefined = context.get("apiKey");
    // Paths without a route are counted as one, as clients may invent any.
    const matched = routePath(context, -1);
    const route = matched.endsWith("*") ? "none" : matched;
    const span = openTelemetry?.trace.getActiveSpan();
    span?.updateName(`${METHODS.has(method) ? method : "HTTP"} ${route}`);
    span?.setAttribute("http.route", route);
    // A client may invent any number of methods.
    metrics.request(METHODS.has(method) ? method : "other", route, status, durationMs);
    if (errorType !== undefined) metrics.failure(errorType);
    log({
      time: new Date().toISOString(),
      level: status >= 500 ? "error" : "info",
      message: "request",
      request_id: context.get("requestId"),
      method,
      path: path.slice(0, MAX_PATH_LENGTH),
      status,
      duration_ms: Math.round(durationMs * 10) / 10,
      ...key !== undefined && { key },
      ...errorType !== undefined && { error_type: errorType },
    });
  };
}
