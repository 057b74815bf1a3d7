/**
 * The server's routes, mounted together.
 *
 * @module
 */
import { Hono, type MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import { requestId } from "hono/request-id";
import { join } from "node:path";
import type { ModelRegistry } from "../serving/model_registry.ts";
import { onError, onNotFound } from "./errors.ts";
import { evaluationRoutes } from "./evaluations.ts";
import { predictRoutes } from "./predict.ts";
import { runRoutes, type RunRoutesOptions } from "./runs.ts";

const MAX_BODY_BYTES = 2_000_000;

/** What the routes work on. */
export interface AppOptions extends RunRoutesOptions {
  models: ModelRegistry;
}

/** The whole application. */
export function createApp({ models, ...runs }: AppOptions): Hono {
  const { store, runsDir } = runs;
  const reportsDir = join(runsDir, "evaluations");
  const app = new Hono();
  app.use(requestId());
  app.use(refuseForeignOrigin);
  app.use(bodyLimit({ maxSize: MAX_BODY_BYTES, onError: tooLarge }));
  app.onError(onError);
  app.notFound(onNotFound);
  app.get("/health", (context) => context.json({ status: "ok" }));
  app.route("/v1/predict", predictRoutes(models));
  app.route("/v1/runs", runRoutes(runs));
  app.route("/v1/evaluations", evaluationRoutes({ store, models, reportsDir }));
  return app;
}

function tooLarge(): never {
  throw new HTTPException(413, { message: `The body must be at most ${MAX_BODY_BYTES} bytes` });
}

/** Keeps web pages of other sites from using a server that listens on this machine only. */
const refuseForeignOrigin: MiddlewareHandler = async (context, next) => {
  const origin = context.req.header("Origin");
  if (origin !== undefined && URL.parse(origin)?.host !== context.req.header("Host")) {
    throw new HTTPException(403, { message: `Requests from ${origin} are not allowed` });
  }
  await next();
};
