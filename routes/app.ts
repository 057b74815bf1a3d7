/**
 * The server's routes, mounted together.
 *
 * @module
 */
import { Hono } from "hono";
import { requestId } from "hono/request-id";
import { join } from "node:path";
import type { ModelRegistry } from "../serving/model_registry.ts";
import { onError, onNotFound } from "./errors.ts";
import { evaluationRoutes } from "./evaluations.ts";
import { predictRoutes } from "./predict.ts";
import { runRoutes, type RunRoutesOptions } from "./runs.ts";

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
  app.onError(onError);
  app.notFound(onNotFound);
  app.get("/health", (context) => context.json({ status: "ok" }));
  app.route("/v1/predict", predictRoutes(models));
  app.route("/v1/runs", runRoutes(runs));
  app.route("/v1/evaluations", evaluationRoutes({ store, models, reportsDir }));
  return app;
}
