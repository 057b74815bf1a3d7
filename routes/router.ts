/**
 * The common part of the routes: their declaration, and the admission of requests to them.
 *
 * @module
 */
import { createRoute, OpenAPIHono, type RouteConfig, type z } from "@hono/zod-openapi";
import type { Context, MiddlewareHandler } from "hono";
import { z as schema } from "zod";
import type { RequestEnv } from "../serving/http_server.ts";
import type { Scope } from "./access.ts";
import { readJson } from "./body.ts";
import { invalidField } from "./errors.ts";

/** Makes a router for one resource; a request that breaks a rule gets 422 with the field's name. */
export function createRouter(): OpenAPIHono {
  return new OpenAPIHono({
    defaultHook: (result) => {
      if (result.success) return;
      const { path, message } = result.error.issues[0]!;
      throw invalidField(path.join(".") || "body", message);
    },
  });
}

/** An application's checks, which each request must pass before a route answers it. */
export interface Admission {
  /** Counts a request until it is answered, and refuses it if the server is about to stop. */
  takeRequest: MiddlewareHandler;
  /** Throws unless the request's key has the scope, and has requests left. */
  checkAccess: (context: Context, scope: Scope) => Promise<void>;
  /** Refuses a prediction while the maximum number are being made. */
  limitPredictions: MiddlewareHandler;
  /** The most bytes of a body, decompressed; data sets have a limit of their own. */
  payloadLimitBytes: number;
  /** The most items of a list or object in a body of JSON. */
  maxItems: number;
}

/** Gives an application's checks to its routes. */
export function admitBy(admission: Admission): MiddlewareHandler {
  return async (context, next) => {
    context.set("admission", admission);
    await next();
  };
}

/** The checks of the application of a request. */
export function admissionOf(context: Context): Admission {
  return context.get("admission");
}

/** A route, with the rules for its use. */
export interface RouteDeclaration extends Omit<RouteConfig, "middleware" | "security" | "hide"> {
  /** The name of the operation in clients generated from the description. */
  operationId: string;
  /** The required scope of a key; null if no key is needed. */
  scope: Scope | null;
  /** Whether the route counts as a prediction, of which only some are made at once. */
  predicts?: true;
  /** Whether the route also answers while the server is about to stop. */
  whileStopping?: true;
  /** Another media type that the body may have, and the function that turns it into JSON. */
  otherBody?: { mediaType: string; read: MiddlewareHandler };
}

/** Declares a route: its request and answers, and, in the same place, who may use it. */
export function declareRoute<
  Path extends string,
  Declaration extends RouteDeclaration & { path: Path },
>({ scope, predicts, whileStopping, otherBody, ...route }: Declaration) {
  const body = route.request?.body;
  const takesJson = body?.content["application/json"] !== undefined;
  const middleware: MiddlewareHandler[] = [];
  if (whileStopping !== true) {
    middleware.push((context, next) => admissionOf(context).takeRequest(context, next));
  }
  if (scope !== null) {
    middleware.push(async (context, next) => {
      await admissionOf(context).checkAccess(context, scope);
      await next();
    });
  }
  if (takesJson) {
    const readJson = body?.required === true ? readJsonBody : readOptionalJsonBody;
    middleware.push(otherBody?.read ?? readJson);
  }
  // A request takes its place once its body has arrived.
  if (predicts === true) {
    middleware.push((context, next) => admissionOf(context).limitPredictions(context, next));
  }
  const declared = {
    ...route,
    ...otherBody !== undefined && {
      request: {
        ...route.request,
        body: {
          ...body,
          content: { ...body?.content, [otherBody.mediaType]: { schema: BINARY } },
        },
      },
    },
    middleware,
    security: scope === null ? [] : [{ bearer: [scope] }],
    responses: {
      ...errorAnswers(
        403,
        500,
        ...whileStopping === true ? [] : [503 as const],
        ...scope === null ? [] : [401, 429] as const,
        ...takesJson ? [400, 408, 413, 415] as const : [],
      ),
      ...route.responses,
    },
  };
  // The types of the route's own answers are those that bind its handler.
  return createRoute<Path, Declaration>(declared as unknown as Declaration);
}

/** A binary body, as a route declares it. */
export const BINARY = { type: "string" as const, format: "binary" };

/** The body of every error. */
const ErrorBody = schema.object({
  error: schema.string(),
  error_type: schema.string(),
}).meta({ id: "ErrorBody" });

/** An answer in JSON, as a route declares it. */
export function jsonContent<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { description, content: { "application/json": { schema } } };
}

/** A body in JSON, as a route declares it. */
export function jsonBody<Schema extends z.ZodType>(schema: Schema) {
  return { required: true as const, content: { "application/json": { schema } } };
}

/** A body in JSON that may be left out, where `{}` would do. */
export function optionalJsonBody<Schema extends z.ZodType>(schema: Schema) {
  return { required: false as const, content: { "application/json": { schema } } };
}

/** The errors that a route may answer, besides those that its declaration implies. */
export function errorAnswers(...statuses: (keyof typeof ERRORS)[]) {
  return Object.fromEntries(
    statuses.map((status) => [status, jsonContent(ErrorBody, ERRORS[status])]),
  );
}

const ERRORS = {
  400: "The body is malformed",
  401: "An API key is needed",
  403: "The API key lacks the scope, or another site's page sent the request",
  404: "Not found",
  408: "The body did not arrive in time",
  409: "Conflicts with the current state",
  413: "The body or a list is too large",
  415: "The body's media type or compression is not supported",
  422: "A value is invalid",
  424: "The model could not be loaded or run",
  429: "Too many requests; see Retry-After",
  500: "Internal error",
  503: "The server is starting, stopping or out of memory; see Retry-After",
  507: "No disk space is left",
} as const;

/** Reads a body of JSON, whatever its media type and compression. */
export const readJsonBody: MiddlewareHandler = async (context, next) => {
  replaceBody(context, await readJson(context.req.raw, admissionOf(context)));
  await next();
};

/** Reads a body of JSON that may be left out. */
const readOptionalJsonBody: MiddlewareHandler = async (context, next) => {
  const json = await readJson(context.req.raw, admissionOf(context));
  replaceBody(context, json.length === 0 ? new TextEncoder().encode("{}") : json);
  await next();
};

/** Replaces the body of a request that has been read with JSON. */
export function replaceBody(context: Context, json: Uint8Array<ArrayBuffer>): void {
  bodyReceived(context);
  const { raw } = context.req;
  const headers = new Headers(raw.headers);
  headers.set("Content-Type", "application/json");
  headers.delete("Content-Encoding");
  context.req.raw = new Request(raw, { headers, body: json });
}

/** Reports that the request has arrived completely. */
export function bodyReceived(context: Context): void {
  // In tests there may be no connection.
  (context.env as Partial<RequestEnv> | undefined)?.bodyReceived?.();
}
